package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.CudaException;
import org.unetrpp.backend.cuda.driver.DeviceProperties;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.DeviceMemoryException;
import org.unetrpp.memory.HostMemory;

/**
 * A device that this machine's processor plays. Its memory is memory of the host, each block
 * between two pages that nobody may touch and ending where the second begins; fresh memory is full
 * of NaN, and so is what lies between the first page and the block; kernels are those of the
 * kernels folder, compiled for the host. Work runs when it is queued, or as late as it may.
 */
final class EmulatedDriver implements CudaDriver {
  private static final long PAGE = 4096;
  private static final long ALIGNMENT = 16;
  private static final byte POISON = (byte) 0xFF;
  private static final int PROTECT_NONE = 0;
  private static final int PROTECT_READ_WRITE = 3;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
  private static final int MULTIPROCESSORS = 12; // blocks that outnumber the lanes of a warp
  private static final int SHARED_BYTES_PER_BLOCK = 99 * 1024; // the least of sm_80 and later

  private final Map<Long, Block> blocks = new TreeMap<>();
  private final Map<String, HostKernel> kernels = new HashMap<>();
  private final long totalBytes;
  private final boolean backwards;
  private final boolean late;
  private final Deque<Runnable> waiting = new ArrayDeque<>(); // if work runs late
  private final Map<Long, Arena> pinned = new HashMap<>();
  private @Nullable RecordedStreams recorded; // while there is a recording
  private long bytesInUse;
  private long launches;

  /** A device of a certain memory. */
  EmulatedDriver(long totalBytes) {
    this(totalBytes, false);
  }

  /**
   * A device of a certain memory.
   *
   * @param backwards whether blocks, and threads between barriers, run from the last to the first
   */
  EmulatedDriver(long totalBytes, boolean backwards) {
    this(totalBytes, backwards, false);
  }

  private EmulatedDriver(long totalBytes, boolean backwards, boolean late) {
    this.totalBytes = totalBytes;
    this.backwards = backwards;
    this.late = late;
  }

  /**
   * A device whose work runs when it is waited for, as far as it is waited for: host memory that is
   * changed before a copy from it was waited for is copied as changed.
   */
  static EmulatedDriver late(long totalBytes) {
    return new EmulatedDriver(totalBytes, false, true);
  }

  private record Block(MemorySegment mapped, long address, long bytes) {}

  private static final class HostStream implements Stream {}

  private static final class HostEvent implements Event {
    private long nanos;
    private int queued;
    private int reached;
  }

  private record HostKernel(String name, MethodHandle function, SymbolLookup library)
      implements Kernel {}

  private record HostGraph(List<Runnable> work) implements Graph {}

  /** Functions of the C library. */
  private static final class System0 {
    private static final Linker LINKER = Linker.nativeLinker();

    @SuppressWarnings("restricted")
    static MethodHandle function(MemorySegment address, FunctionDescriptor type) {
      return LINKER.downcallHandle(address, type);
    }

    static final MethodHandle MMAP =
        function(
            LINKER.defaultLookup().findOrThrow("mmap"),
            FunctionDescriptor.of(
                ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    static final MethodHandle MPROTECT =
        function(
            LINKER.defaultLookup().findOrThrow("mprotect"),
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    static final MethodHandle MUNMAP =
        function(
            LINKER.defaultLookup().findOrThrow("munmap"),
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
  }

  @Override
  public DeviceProperties device() {
    return new DeviceProperties(
        0, "emulated device", 9, 0, MULTIPROCESSORS, totalBytes, SHARED_BYTES_PER_BLOCK, 13_000);
  }

  /** Kernels launched so far. */
  long launches() {
    return launches;
  }

  @Override
  public synchronized long allocate(long bytes) {
    requireNoRecording("cuMemAlloc");
    if (bytes > totalBytes - bytesInUse) {
      throw new DeviceMemoryException(
          "no memory of the device for %d bytes; %d of %d are free"
              .formatted(bytes, totalBytes - bytesInUse, totalBytes));
    }
    long rounded = Math.max(ALIGNMENT, Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT);
    long usable = Math.ceilDiv(rounded, PAGE) * PAGE;
    long length = usable + 2 * PAGE;
    try {
      MemorySegment mapped =
          (MemorySegment)
              System0.MMAP.invokeExact(0L, length, PROTECT_NONE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
      int result =
          (int) System0.MPROTECT.invokeExact(mapped.address() + PAGE, usable, PROTECT_READ_WRITE);
      if (mapped.address() == -1 || result != 0) {
        throw new OutOfMemoryError("mmap of " + length + " bytes");
      }
      long address = mapped.address() + PAGE + usable - rounded;
      HostMemory.segment(mapped.address() + PAGE, usable).fill(POISON);
      blocks.put(address, new Block(HostMemory.segment(mapped.address(), length), address, bytes));
      bytesInUse += bytes;
      return address;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private void requireNoRecording(String function) {
    if (recorded != null) {
      throw new CudaException(function + ": the stream is being recorded");
    }
  }

  @Override
  public synchronized void free(long address) {
    requireNoRecording("cuMemFree");
    runWaiting();
    Block block = blocks.remove(address);
    if (block == null) {
      throw new CudaException("cuMemFree: no block starts at address " + address);
    }
    long first = block.mapped().address() + PAGE;
    long end = address + block.bytes();
    long guard = block.mapped().address() + block.mapped().byteSize() - PAGE;
    boolean before = isPoison(first, address - first);
    boolean behind = isPoison(end, guard - end);
    unmap(block);
    bytesInUse -= block.bytes();
    if (!before || !behind) {
      throw new CudaException(
          "a kernel wrote %s a block of %d bytes"
              .formatted(before ? "behind" : "before", block.bytes()));
    }
  }

  private static boolean isPoison(long address, long bytes) {
    MemorySegment segment = HostMemory.segment(address, bytes);
    for (long i = 0; i < bytes; i++) {
      if (segment.get(JAVA_BYTE, i) != POISON) {
        return false;
      }
    }
    return true;
  }

  private static void unmap(Block block) {
    try {
      int _ = (int) System0.MUNMAP.invokeExact(block.mapped().address(), block.mapped().byteSize());
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  @Override
  public long freeBytes() {
    return totalBytes - bytesInUse;
  }

  @Override
  @SuppressWarnings("MustBeClosedChecker") // freeHost closes it
  public MemorySegment allocateHost(long bytes) {
    Arena arena = Arena.ofShared();
    MemorySegment memory = arena.allocate(bytes, PAGE);
    pinned.put(memory.address(), arena);
    return memory;
  }

  @Override
  public void freeHost(MemorySegment memory) {
    Arena arena = pinned.remove(memory.address());
    if (arena == null) {
      throw new CudaException("cuMemFreeHost: no block starts at address " + memory.address());
    }
    arena.close();
  }

  /** Blocks of pinned host memory that were not given back. */
  int pinnedBlocks() {
    return pinned.size();
  }

  private void runWaiting() {
    while (!waiting.isEmpty()) {
      waiting.removeFirst().run();
    }
  }

  private void queue(Stream stream, Runnable work) {
    if (recorded != null) {
      recorded.add(stream, work);
    } else {
      queue(work);
    }
  }

  private void queue(Runnable work) {
    if (late) {
      waiting.addLast(work);
    } else {
      work.run();
    }
  }

  private void requireAllocated(long address, long bytes) {
    for (Block block : blocks.values()) {
      if (address >= block.address() && address + bytes <= block.address() + block.bytes()) {
        return;
      }
    }
    throw new CudaException(
        "cuMemcpy: %d bytes at address %d are no memory of the device".formatted(bytes, address));
  }

  @Override
  public void copyToDevice(MemorySegment source, long destination, Stream stream) {
    requireAllocated(destination, source.byteSize());
    queue(stream, () -> HostMemory.segment(destination, source.byteSize()).copyFrom(source));
  }

  @Override
  public void copyToHost(long source, MemorySegment destination, Stream stream) {
    requireAllocated(source, destination.byteSize());
    queue(stream, () -> destination.copyFrom(HostMemory.segment(source, destination.byteSize())));
  }

  @Override
  public void copy(long source, long destination, long bytes, Stream stream) {
    requireAllocated(source, bytes);
    requireAllocated(destination, bytes);
    queue(
        stream,
        () -> HostMemory.segment(destination, bytes).copyFrom(HostMemory.segment(source, bytes)));
  }

  @Override
  public void fill(long destination, byte value, long bytes, Stream stream) {
    requireAllocated(destination, bytes);
    queue(stream, () -> HostMemory.segment(destination, bytes).fill(value));
  }

  @Override
  public Stream createStream() {
    return new HostStream();
  }

  @Override
  public void destroy(Stream stream) {}

  @Override
  public void synchronize(Stream stream) {
    requireNoRecording("cuStreamSynchronize");
    runWaiting();
  }

  @Override
  public Event createEvent() {
    return new HostEvent();
  }

  @Override
  public void destroy(Event event) {}

  @Override
  public void record(Event event, Stream stream) {
    if (recorded != null) {
      recorded.record(event, stream);
      return;
    }
    HostEvent hostEvent = (HostEvent) event;
    int number = ++hostEvent.queued;
    queue(() -> {
      hostEvent.nanos = System.nanoTime();
      hostEvent.reached = number;
    });
  }

  @Override
  public void synchronize(Event event) {
    HostEvent hostEvent = (HostEvent) event;
    while (hostEvent.reached < hostEvent.queued) {
      waiting.removeFirst().run();
    }
  }

  @Override
  public void await(Event event, Stream stream) {
    if (recorded != null) {
      recorded.await(event, stream);
    }
  }

  @Override
  public float elapsedMillis(Event first, Event second) {
    synchronize(second);
    return (((HostEvent) second).nanos - ((HostEvent) first).nanos) / 1e6f;
  }

  @Override
  @SuppressWarnings("restricted")
  public Kernel kernel(String file, String entry) {
    return kernels.computeIfAbsent(
        entry,
        name -> {
          SymbolLookup library = HostKernels.library(file);
          MemorySegment address =
              library
                  .find("host_" + name)
                  .orElseThrow(
                      () -> new CudaException("%s.cu has no entry point %s".formatted(file, name)));
          FunctionDescriptor type =
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
                  ADDRESS, JAVA_INT, JAVA_INT);
          return new HostKernel(name, System0.function(address, type), library);
        });
  }

  @Override
  public String sourceKey(String file) {
    return "emulated";
  }

  @Override
  public void launch(
      Kernel kernel, LaunchGeometry geometry, KernelArguments arguments, Stream stream) {
    HostKernel hostKernel = (HostKernel) kernel;
    if (geometry.sharedBytes() > SHARED_BYTES_PER_BLOCK) {
      throw new CudaException(
          "%s (%s): more shared memory than a block may have"
              .formatted(hostKernel.name(), geometry));
    }
    launches++;
    if (recorded == null && !late) {
      run(hostKernel, geometry, MemorySegment.ofBuffer(arguments.addresses()), arguments.count());
      return;
    }
    MemorySegment values =
        Arena.ofAuto()
            .allocate((long) arguments.count() * Long.BYTES, Long.BYTES)
            .copyFrom(
                MemorySegment.ofBuffer(arguments.values())
                    .asSlice(0, (long) arguments.count() * Long.BYTES));
    MemorySegment addresses = Arena.ofAuto().allocate(values.byteSize(), Long.BYTES);
    int count = arguments.count();
    for (int i = 0; i < count; i++) {
      addresses.setAtIndex(JAVA_LONG, i, values.address() + (long) i * Long.BYTES);
    }
    queue(
        stream,
        () -> {
          MemorySegment _ = values; // reachable as long as the work is kept
          run(hostKernel, geometry, addresses, count);
        });
  }

  private void run(HostKernel kernel, LaunchGeometry geometry, MemorySegment addresses, int count) {
    int result;
    try {
      result =
          (int)
              kernel
                  .function()
                  .invokeExact(
                      geometry.gridX(),
                      geometry.gridY(),
                      geometry.gridZ(),
                      geometry.blockX(),
                      geometry.blockY(),
                      geometry.blockZ(),
                      geometry.sharedBytes(),
                      addresses,
                      count,
                      backwards ? 1 : 0);
    } catch (Throwable e) {
      throw unexpected(e);
    }
    if (result != 0) {
      throw new CudaException(
          "kernel %s (%s) failed with code %d: %s"
              .formatted(kernel.name(), geometry, result, explanation(kernel.library())));
    }
  }

  @SuppressWarnings("restricted")
  private String explanation(SymbolLookup library) {
    try {
      MethodHandle error =
          System0.function(library.findOrThrow("emulation_error"), FunctionDescriptor.of(ADDRESS));
      MethodHandle fault =
          System0.function(library.findOrThrow("emulation_fault"), FunctionDescriptor.of(ADDRESS));
      String text = ((MemorySegment) error.invokeExact()).reinterpret(Long.MAX_VALUE).getString(0);
      long address = ((MemorySegment) fault.invokeExact()).address();
      return address == 0 ? text : text + ": " + place(address);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Where an address is, in terms of the block between whose guards it lies. */
  private String place(long address) {
    for (Block block : blocks.values()) {
      long begin = block.mapped().address();
      if (address >= begin && address < begin + block.mapped().byteSize()) {
        return "byte %d of a block of %d bytes".formatted(address - block.address(), block.bytes());
      }
    }
    return "address " + Long.toHexString(address);
  }

  @Override
  public void beginCapture(Stream stream) {
    requireNoRecording("cuStreamBeginCapture");
    recorded = new RecordedStreams(stream);
  }

  @Override
  public Graph endCapture(Stream stream) {
    RecordedStreams ended = recorded;
    if (ended == null) {
      throw new CudaException("cuStreamEndCapture: the stream is not being recorded");
    }
    recorded = null;
    return new HostGraph(ended.inOrder());
  }

  @Override
  public void launch(Graph graph, Stream stream) {
    ((HostGraph) graph).work().forEach(this::queue);
  }

  @Override
  public void destroy(Graph graph) {}

  @Override
  public void close() {
    runWaiting();
    pinned.values().forEach(Arena::close);
    pinned.clear();
    blocks.values().forEach(EmulatedDriver::unmap);
    blocks.clear();
    bytesInUse = 0;
  }

  private static RuntimeException unexpected(Throwable e) {
    if (e instanceof RuntimeException exception) {
      return exception;
    }
    if (e instanceof Error error) {
      throw error;
    }
    return new IllegalStateException(e);
  }
}
