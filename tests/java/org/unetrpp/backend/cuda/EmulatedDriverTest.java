package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.DeviceMemoryException;

/** The device that the processor plays: what it does, and what it finds out about kernels. */
class EmulatedDriverTest {
  private static final long MEMORY = 1 << 20;
  private static final LaunchGeometry ONE_WARP = LaunchGeometry.blocks(1, 32);

  private final EmulatedDriver driver = new EmulatedDriver(MEMORY);
  private final CudaDriver.Stream stream = driver.createStream();
  private final KernelArguments arguments = new KernelArguments();

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  @AfterEach
  void close() {
    driver.close();
  }

  private Buffer allocate(long elements) {
    return new Buffer(driver.allocate(elements * Float.BYTES), DType.FLOAT32, elements);
  }

  private Buffer upload(float... values) {
    Buffer buffer = allocate(values.length);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
      driver.copyToDevice(host, buffer.address(), stream);
    }
    return buffer;
  }

  private float[] download(Buffer buffer) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(buffer.bytes(), Float.BYTES);
      driver.copyToHost(buffer.address(), host, stream);
      return host.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private KernelArguments list(@Nullable Buffer... buffers) {
    return arguments.start().buffers(buffers);
  }

  private void launch(String entry, LaunchGeometry geometry, KernelArguments with) {
    driver.launch(driver.kernel("probes", entry), geometry, with, stream);
  }

  @Test
  void argumentsArriveInTheirOrderAndTypes() {
    long address = driver.allocate(6 * Double.BYTES);
    Buffer result = new Buffer(address, DType.FLOAT64, 6);
    launch(
        "probe_arguments",
        ONE_WARP,
        list(upload(1.5f), null)
            .ints(-3)
            .longs(1L << 40)
            .floats(0.1f)
            .doubles(0.1)
            .buffers(result));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(result.bytes(), Double.BYTES);
      driver.copyToHost(address, host, stream);
      assertThat(host.toArray(ValueLayout.JAVA_DOUBLE))
          .containsExactly(1.5, 1, -3, 1L << 40, 0.1f, 0.1);
    }
  }

  @Test
  void everyThreadOfAGridRuns() {
    LaunchGeometry geometry = new LaunchGeometry(3, 4, 5, 8, 4, 2, 0);
    Buffer y = allocate(60 * 64);
    launch("probe_geometry", geometry, list(y));
    float[] numbers = download(y);
    for (int i = 0; i < numbers.length; i++) {
      assertThat(numbers[i]).isEqualTo(i);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {32, 96, 256})
  void barriersAndLanesExchangeWithinABlock(int threads) {
    Buffer y = allocate(threads);
    launch("probe_sum", LaunchGeometry.blocks(1, threads), list(y));
    assertThat(download(y)).containsOnly(threads * (threads - 1) / 2f);
  }

  @Test
  void freshMemoryIsFullOfNan() {
    assertThat(download(allocate(1001))).containsOnly(Float.NaN);
  }

  @Test
  void freshSharedMemoryIsFullOfNanInEveryBlock() {
    Buffer y = allocate(64);
    launch("probe_shared", LaunchGeometry.blocks(5, 64).shared(256), list(y));
    assertThat(download(y)).containsOnly(Float.NaN);
  }

  @Test
  void declaredSharedMemoryIsFullOfNanInEveryBlock() {
    Buffer y = allocate(5 * 64);
    launch("probe_declared", LaunchGeometry.blocks(5, 64), list(y));
    assertThat(download(y)).containsOnly(Float.NaN);
  }

  @Test
  void aMissingBarrierIsSeenInOneOfBothOrdersOfThreads() {
    try (EmulatedDriver other = new EmulatedDriver(MEMORY, true)) {
      Buffer y = allocate(3);
      LaunchGeometry threads = LaunchGeometry.blocks(1, 3);
      launch("probe_race", threads, list(y));
      assertThat(download(y)).containsExactly(Float.NaN, Float.NaN, 0);
      other.launch(other.kernel("probes", "probe_race"), threads, list(y), stream);
      assertThat(download(y)).containsExactly(1, 2, Float.NaN);
    }
  }

  @Test
  void aVectorLoadThatIsNotAlignedIsReported() {
    Buffer x = upload(1, 2, 3, 4, 5, 6, 7, 8);
    Buffer y = allocate(1);
    launch("probe_vector", ONE_WARP, list(x).ints(4).buffers(y));
    assertThat(download(y)).containsExactly(26);
    assertThatThrownBy(() -> launch("probe_vector", ONE_WARP, list(x).ints(2).buffers(y)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("a misaligned access");
  }

  @Test
  void anIndexBeyondDeclaredSharedMemoryIsReported() {
    Buffer y = allocate(1);
    launch("probe_index", ONE_WARP, list().ints(7).buffers(y));
    assertThat(download(y)).containsExactly(7);
    assertThatThrownBy(() -> launch("probe_index", ONE_WARP, list().ints(8).buffers(y)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("an index beyond its array");
  }

  @Test
  void anOffsetThatOverflowsIsReported() {
    Buffer y = allocate(1);
    launch("probe_offset", ONE_WARP, list().ints(1 << 15, 1 << 15).buffers(y));
    assertThat(download(y)).containsExactly(1 << 30);
    assertThatThrownBy(
            () -> launch("probe_offset", ONE_WARP, list().ints(1 << 16, 1 << 15).buffers(y)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("an integer overflow");
  }

  @Test
  void aLaneThatIsGoneGivesNothing() {
    Buffer y = allocate(32);
    launch("probe_gone", ONE_WARP, list(y));
    float[] given = download(y);
    assertThat(given[29]).isEqualTo(30);
    assertThat(given[30]).isNaN();
    assertThat(given[31]).isEqualTo(-1);
  }

  @ParameterizedTest
  @ValueSource(longs = {4, 1023, -1024, -2000})
  void readingOutsideABufferIsReportedWithItsPlace(long at) {
    Buffer x = upload(1, 2, 3, 4);
    Buffer y = allocate(1);
    assertThatThrownBy(() -> launch("probe_read", ONE_WARP, list(x).longs(at).buffers(y)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("kernel probe_read (grid (1, 1, 1), block (32, 1, 1), 0 bytes")
        .hasMessageContaining("failed with code 700: access to memory that is not there")
        .hasMessageContaining("byte %d of a block of 16 bytes", 4 * at);
  }

  @Test
  void theDeviceGoesOnAfterAFault() {
    Buffer x = upload(1, 2, 3, 4);
    Buffer y = allocate(1);
    assertThatThrownBy(() -> launch("probe_read", ONE_WARP, list(x).longs(4).buffers(y)))
        .isInstanceOf(CudaException.class);
    launch("probe_read", ONE_WARP, list(x).longs(3).buffers(y));
    assertThat(download(y)).containsExactly(4);
  }

  @Test
  void writingOutsideABufferIsReported() {
    Buffer x = allocate(4);
    assertThatThrownBy(() -> launch("probe_write", ONE_WARP, list(x).longs(4).floats(1)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("access to memory that is not there");
  }

  @Test
  void whatLiesRightBeforeABufferIsNan() {
    Buffer y = allocate(1);
    launch("probe_read", ONE_WARP, list(upload(1)).longs(-1).buffers(y));
    assertThat(download(y)).containsOnly(Float.NaN);
  }

  @ParameterizedTest
  @CsvSource({"3, behind", "-1, before"})
  void writingBetweenABufferAndItsGuardsIsFoundWhenItIsFreed(long at, String where) {
    Buffer x = allocate(3); // ends 4 bytes before its guard
    launch("probe_write", ONE_WARP, list(x).longs(at).floats(1));
    assertThatThrownBy(() -> driver.free(x.address()))
        .isInstanceOf(CudaException.class)
        .hasMessage("a kernel wrote %s a block of 12 bytes", where);
  }

  @Test
  void freedMemoryIsGone() {
    Buffer x = upload(1);
    Buffer y = allocate(1);
    driver.free(x.address());
    assertThatThrownBy(() -> launch("probe_read", ONE_WARP, list(x).longs(0).buffers(y)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("access to memory that is not there");
  }

  @Test
  void memoryIsFreedOnlyOnce() {
    long address = driver.allocate(100);
    driver.free(address);
    assertThatThrownBy(() -> driver.free(address))
        .isInstanceOf(CudaException.class)
        .hasMessage("cuMemFree: no block starts at address " + address);
  }

  @Test
  void memoryIsLimited() {
    long first = driver.allocate(MEMORY - 1000);
    assertThat(driver.freeBytes()).isEqualTo(1000);
    assertThatThrownBy(() -> driver.allocate(1001))
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessage("no memory of the device for 1001 bytes; 1000 of %d are free", MEMORY);
    driver.free(first);
    assertThat(driver.freeBytes()).isEqualTo(MEMORY);
  }

  @Test
  void copiesStayWithinBuffers() {
    Buffer x = upload(1, 2, 3, 4);
    Buffer y = allocate(3);
    assertThatThrownBy(() -> driver.copy(x.address(), y.address(), 16, stream))
        .isInstanceOf(CudaException.class)
        .hasMessage("cuMemcpy: 16 bytes at address %d are no memory of the device", y.address());
    assertThatThrownBy(() -> driver.fill(y.address(), (byte) 0, 16, stream))
        .isInstanceOf(CudaException.class);
    driver.copy(x.address() + 4, y.address(), 12, stream);
    assertThat(download(y)).containsExactly(2, 3, 4);
    driver.fill(y.address() + 4, (byte) 0, 4, stream);
    assertThat(download(y)).containsExactly(2, 0, 4);
  }

  @Test
  void refusesAnEntryPointThatTheFileDoesNotHave() {
    assertThatThrownBy(() -> driver.kernel("probes", "probe_nothing"))
        .isInstanceOf(CudaException.class)
        .hasMessage("probes.cu has no entry point probe_nothing");
  }

  @Test
  void refusesAnotherNumberOfArguments() {
    assertThatThrownBy(() -> launch("probe_sum", ONE_WARP, list().ints(1, 2)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("failed with code 1: another number of arguments");
  }

  @Test
  void refusesMoreThreadsThanTheKernelIsCompiledFor() {
    Buffer y = allocate(288);
    assertThatThrownBy(() -> launch("probe_sum", LaunchGeometry.blocks(1, 288), list(y)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("failed with code 1: more threads in a block");
  }

  @Test
  void refusesMoreSharedMemoryThanABlockMayHave() {
    LaunchGeometry geometry = ONE_WARP.shared(100 * 1024);
    Buffer y = allocate(32);
    assertThatThrownBy(() -> launch("probe_shared", geometry, list(y)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("more shared memory than a block may have");
  }

  @Test
  void aBarrierThatSomeThreadsNeverReachIsReported() {
    Buffer y = allocate(64);
    assertThatThrownBy(() -> launch("probe_divergence", LaunchGeometry.blocks(1, 64), list(y)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("kernel probe_divergence")
        .hasMessageContaining("never reach");
    launch("probe_sum", LaunchGeometry.blocks(1, 64), list(y));
    assertThat(download(y)).containsOnly(63 * 32);
  }

  private void steps(Buffer x, Buffer y) {
    driver.fill(y.address(), (byte) 0, y.bytes(), stream);
    for (float scale : new float[] {0.3f, -1.7f, 0.9f}) {
      launch(
          "probe_step",
          LaunchGeometry.blocks(1, 64),
          list(x, y).floats(scale).ints((int) x.elements()));
    }
    driver.copy(y.address(), x.address(), x.bytes() / 2, stream);
  }

  @Test
  void aGraphGivesTheBytesOfDirectLaunches() {
    float[] values = new float[150];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i);
    }
    Buffer x = upload(values);
    Buffer y = allocate(150);
    steps(x, y);
    steps(x, y);
    final float[] expectedX = download(x);
    final float[] expectedY = download(y);

    Buffer graphX = upload(values);
    Buffer graphY = upload(new float[150]);
    driver.beginCapture(stream);
    steps(graphX, graphY);
    CudaDriver.Graph graph = driver.endCapture(stream);
    arguments.start().longs(0, 0, 0, 0); // a graph has the values of its recording
    assertThat(download(graphX)).isEqualTo(values);
    assertThat(download(graphY)).containsOnly(0);
    driver.launch(graph, stream);
    driver.launch(graph, stream);
    assertThat(download(graphX)).isEqualTo(expectedX);
    assertThat(download(graphY)).isEqualTo(expectedY);
    driver.destroy(graph);
  }

  @Test
  void recordingsDoNotNest() {
    driver.beginCapture(stream);
    assertThatThrownBy(() -> driver.beginCapture(stream)).isInstanceOf(CudaException.class);
    assertThatThrownBy(() -> driver.synchronize(stream))
        .isInstanceOf(CudaException.class)
        .hasMessage("cuStreamSynchronize: the stream is being recorded");
    driver.destroy(driver.endCapture(stream));
    assertThatThrownBy(() -> driver.endCapture(stream))
        .isInstanceOf(CudaException.class)
        .hasMessage("cuStreamEndCapture: the stream is not being recorded");
  }

  @Test
  void aRecordingHasTheWorkOfStreamsThatItForksAndJoins() {
    CudaDriver.Stream side = driver.createStream();
    CudaDriver.Event forked = driver.createEvent();
    CudaDriver.Event joined = driver.createEvent();
    Buffer y = upload(new float[] {1});
    driver.beginCapture(stream);
    driver.record(forked, stream);
    driver.await(forked, side);
    driver.fill(y.address(), (byte) 2, 2, side);
    driver.record(joined, side);
    driver.fill(y.address(), (byte) 0, y.bytes(), stream); // as early as it may run: before
    driver.await(joined, stream);
    driver.launch(driver.endCapture(stream), stream);
    assertThat(download(y)).containsExactly(Float.intBitsToFloat(0x0202));
  }

  @Test
  void workThatARecordingDoesNotJoinIsReported() {
    CudaDriver.Stream side = driver.createStream();
    CudaDriver.Event forked = driver.createEvent();
    Buffer y = allocate(1);
    driver.beginCapture(stream);
    assertThatThrownBy(() -> driver.fill(y.address(), (byte) 0, 4, side))
        .isInstanceOf(CudaException.class)
        .hasMessage("the stream is no part of the recording");
    driver.record(forked, stream);
    driver.await(forked, side);
    driver.fill(y.address(), (byte) 0, 4, side);
    assertThatThrownBy(() -> driver.endCapture(stream))
        .isInstanceOf(CudaException.class)
        .hasMessage("cuStreamEndCapture: work of another stream is not joined");
  }

  @Test
  void launchesAreCounted() {
    Buffer y = allocate(32);
    long before = driver.launches();
    launch("probe_sum", ONE_WARP, list(y));
    launch("probe_sum", ONE_WARP, list(y));
    assertThat(driver.launches()).isEqualTo(before + 2);
  }

  @Test
  void eventsMeasureTheTimeBetweenThem() {
    CudaDriver.Event first = driver.createEvent();
    CudaDriver.Event second = driver.createEvent();
    driver.record(first, stream);
    Buffer y = allocate(8192);
    float[] zeros = new float[8192];
    Arrays.fill(zeros, 1);
    launch("probe_step", LaunchGeometry.blocks(1, 64), list(upload(zeros), y).floats(1).ints(8192));
    driver.record(second, stream);
    assertThat(driver.elapsedMillis(first, second)).isPositive();
    driver.destroy(first);
    driver.destroy(second);
  }
}
