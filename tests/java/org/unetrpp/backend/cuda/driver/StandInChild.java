package org.unetrpp.backend.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.unetrpp.backend.Backend;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.DeviceMemoryException;

/** What is done with stand-ins for NVIDIA's libraries, in a process of its own. */
final class StandInChild {
  private static final int COUNT = 1000;
  private static final String FILE = "vector";

  private StandInChild() {}

  public static void main(String[] arguments) throws Exception {
    switch (arguments[0]) {
      case "report" -> CudaDevices.ofThisMachine().report().forEach(System.out::println);
      case "work" -> work();
      case "kernel" -> {
        try (CudaDriver driver = JcudaDriver.open(0)) {
          driver.allocate(100);
          driver.allocate(10);
          driver.allocateHost(1000);
          driver.kernel(FILE, "saxpy_f32");
        } catch (CudaException e) {
          System.out.println(e.getMessage());
        }
      }
      case "auto" -> {
        Device device = Device.of("auto");
        System.out.println(device);
        try (Backend backend = Engine.open(device, 1, DType.BFLOAT16)) {
          System.out.println(backend.name() + " " + backend.computeType());
        }
      }
      case "open" -> {
        assertThatThrownBy(() -> JcudaDriver.open(Integer.parseInt(arguments[1])))
            .isInstanceOf(CudaException.class)
            .satisfies(e -> System.out.println(e.getMessage()));
      }
      default -> throw new IllegalArgumentException(arguments[0]);
    }
    System.out.println("done");
  }

  private static void work() throws InterruptedException {
    CudaDriver driver = JcudaDriver.open(0);
    assertThat(driver.device())
        .isEqualTo(new DeviceProperties(0, "stand-in device", 9, 0, 132, 1 << 30, 232_448, 13_000));
    CudaDriver.Stream stream = driver.createStream();
    copies(driver, stream);
    hostMemory(driver);
    kernels(driver, stream);
    graphs(driver, stream);
    events(driver, stream);
    otherThreads(driver, stream);
    memoryThatIsNotThere(driver);
    wrongCalls(driver, stream);
    fault(driver, stream);
    driver.close();
    driver.close();
    assertThatThrownBy(driver::createStream).isInstanceOf(IllegalStateException.class);
  }

  private static MemorySegment numbers(Arena arena, float first) {
    MemorySegment numbers = arena.allocate(JAVA_FLOAT, COUNT);
    for (int i = 0; i < COUNT; i++) {
      numbers.setAtIndex(JAVA_FLOAT, i, first + i);
    }
    return numbers;
  }

  private static void copies(CudaDriver driver, CudaDriver.Stream stream) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment numbers = numbers(arena, 0.5f);
      long first = driver.allocate(numbers.byteSize());
      long second = driver.allocate(numbers.byteSize());
      driver.copyToDevice(numbers, first, stream);
      driver.copy(first, second, numbers.byteSize(), stream);
      driver.fill(second + Float.BYTES, (byte) 0xFF, Float.BYTES, stream);
      MemorySegment back = arena.allocate(JAVA_FLOAT, COUNT);
      driver.copyToHost(second, back, stream);
      driver.synchronize(stream);
      assertThat(back.getAtIndex(JAVA_FLOAT, 1)).isNaN();
      back.setAtIndex(JAVA_FLOAT, 1, 1.5f);
      assertThat(back.mismatch(numbers)).isEqualTo(-1);
      driver.copyToDevice(numbers.asSlice(0, 0), first, stream);
      driver.free(first);
      driver.free(second);
      driver.free(driver.allocate(0));
    }
  }

  private static void hostMemory(CudaDriver driver) {
    MemorySegment host = driver.allocateHost(12_345);
    assertThat(host.byteSize()).isEqualTo(12_345);
    assertThat(host.toArray(JAVA_BYTE)).containsOnly(0);
    driver.freeHost(host);
    assertThatThrownBy(() -> driver.freeHost(host)).isInstanceOf(CudaException.class);
    assertThatThrownBy(() -> driver.allocateHost(1L << 31))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("bytes is 2147483648");
  }

  private record Vectors(CudaDriver driver, CudaDriver.Stream stream, Buffer x, Buffer y) {
    static Vectors on(CudaDriver driver, CudaDriver.Stream stream) {
      Vectors vectors = new Vectors(driver, stream, buffer(driver), buffer(driver));
      try (Arena arena = Arena.ofConfined()) {
        driver.copyToDevice(numbers(arena, 1), vectors.x.address(), stream);
        driver.fill(vectors.y.address(), (byte) 0, vectors.y.bytes(), stream);
        driver.synchronize(stream);
      }
      return vectors;
    }

    private static Buffer buffer(CudaDriver driver) {
      return new Buffer(driver.allocate(COUNT * Float.BYTES), DType.FLOAT32, COUNT);
    }

    /** {@code y += factor * x}, at once. */
    void add(float factor, int sharedBytes) {
      LaunchGeometry geometry = LaunchGeometry.threadEach(COUNT, 64).shared(sharedBytes);
      KernelArguments arguments =
          new KernelArguments()
              .buffers(x, y)
              .longs(COUNT)
              .ints(geometry.gridX() * geometry.blockX())
              .floats(factor);
      driver.launch(driver.kernel(FILE, "saxpy_f32"), geometry, arguments, stream);
    }

    float last() {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment back = arena.allocate(JAVA_FLOAT, COUNT);
        driver.copyToHost(y.address(), back, stream);
        driver.synchronize(stream);
        return back.getAtIndex(JAVA_FLOAT, COUNT - 1);
      }
    }
  }

  private static void kernels(CudaDriver driver, CudaDriver.Stream stream) {
    assertThat(driver.kernel(FILE, "saxpy_f32")).isSameAs(driver.kernel(FILE, "saxpy_f32"));
    Vectors vectors = Vectors.on(driver, stream);
    vectors.add(2, 0);
    vectors.add(0.5f, 47 * 1024);
    assertThat(vectors.last()).isEqualTo(2500);
    vectors.add(1, 60_000);
    vectors.add(1, 50_000);
    vectors.add(1, 70_000);
    assertThat(vectors.last()).isEqualTo(5500);
  }

  private static void graphs(CudaDriver driver, CudaDriver.Stream stream) {
    Vectors vectors = Vectors.on(driver, stream);
    driver.beginCapture(stream);
    vectors.add(2, 0);
    vectors.add(1, 0);
    CudaDriver.Graph graph = driver.endCapture(stream);
    assertThat(vectors.last()).isZero();
    driver.launch(graph, stream);
    driver.launch(graph, stream);
    assertThat(vectors.last()).isEqualTo(6000);
    driver.destroy(graph);
  }

  private static void events(CudaDriver driver, CudaDriver.Stream stream) {
    CudaDriver.Event first = driver.createEvent();
    CudaDriver.Event second = driver.createEvent();
    driver.record(first, stream);
    driver.record(second, stream);
    driver.await(second, stream);
    assertThat(driver.elapsedMillis(first, second)).isEqualTo(1.5f);
    driver.destroy(first);
    driver.destroy(second);
  }

  private static void otherThreads(CudaDriver driver, CudaDriver.Stream stream)
      throws InterruptedException {
    Vectors vectors = Vectors.on(driver, stream);
    Thread other = Thread.ofPlatform().start(() -> vectors.add(1, 0));
    other.join();
    Thread virtual = Thread.ofVirtual().start(() -> vectors.add(1, 0));
    virtual.join();
    assertThat(vectors.last()).isEqualTo(2000);
  }

  private static void memoryThatIsNotThere(CudaDriver driver) {
    assertThatThrownBy(() -> driver.allocate(1L << 31))
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessage(
            "no memory of stand-in device for 2147483648 bytes; %d of 1073741824 are free"
                .formatted(driver.freeBytes()));
  }

  private static void wrongCalls(CudaDriver driver, CudaDriver.Stream stream) {
    assertThatThrownBy(() -> driver.free(4096))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("cuMemFree: no block starts at address 4096");
    assertThatThrownBy(() -> driver.copyToDevice(MemorySegment.ofArray(new float[4]), 0, stream))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected native memory");
    assertThatThrownBy(() -> driver.kernel(FILE, "saxpy_f16"))
        .isInstanceOf(CudaException.class)
        .hasMessage("kernels/vector has no entry point 'saxpy_f16'");
    assertThatThrownBy(() -> driver.kernel("nothing", "saxpy_f32"))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("kernels/nothing")
        .hasMessageContaining("its source is not on the class path");
    Vectors vectors = Vectors.on(driver, stream);
    assertThatThrownBy(() -> vectors.add(1, 300_000))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("saxpy_f32 to 300000 bytes of shared memory")
        .hasMessageContaining("may have 232448")
        .hasMessageContaining("CUDA_ERROR_INVALID_VALUE (1), invalid argument");
    assertThatThrownBy(() ->
            driver.launch(
                driver.kernel(FILE, "saxpy_f32"),
                LaunchGeometry.blocks(3, 32),
                new KernelArguments().buffers(vectors.x(), null).longs(1).ints(7).floats(0),
                stream))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("cuLaunchKernel of saxpy_f32, grid (3, 1, 1), block (32, 1, 1)")
        .hasMessageContaining("on cuda:0: CUDA_ERROR_INVALID_VALUE (1), invalid argument");
  }

  private static void fault(CudaDriver driver, CudaDriver.Stream stream) {
    driver.launch(
        driver.kernel(FILE, "fault_f32"),
        LaunchGeometry.blocks(1, 1),
        new KernelArguments(),
        stream);
    assertThatThrownBy(() -> driver.synchronize(stream))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining(
            "cuStreamSynchronize on cuda:0: CUDA_ERROR_ILLEGAL_ADDRESS (700), "
                + "an illegal memory access was encountered (queued last before: fault_f32;");
  }
}
