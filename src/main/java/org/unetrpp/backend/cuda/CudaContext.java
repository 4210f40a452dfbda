package org.unetrpp.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PackCache;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.ScopeStack;

/** What all launchers of one backend share: device, stream, memory and the block of arguments. */
final class CudaContext {
  private static final int LEAST_TICKETS = 1 << 14;

  private final CudaDriver driver;
  private final Branches branches;
  private final DeviceMemory memory;
  private final ScopeStack scopes;
  private final KernelArguments arguments = new KernelArguments();
  private final Map<String, CudaDriver.Kernel> kernels = new HashMap<>();
  private final Tuner tuner;
  private final PinnedStaging staging;
  private final Tickets tickets = new Tickets();
  private final Tickets ticketsOfBranches = new Tickets();
  private @Nullable WindowSink sink;

  CudaContext(CudaDriver driver, CudaDriver.Stream stream, DeviceMemory memory) {
    this.driver = driver;
    this.memory = memory;
    branches = new Branches(driver, stream, memory);
    scopes = new ScopeStack(memory);
    tuner = new Tuner(driver);
    staging = new PinnedStaging(driver, stream);
  }

  CudaDriver driver() {
    return driver;
  }

  /** Where work is queued. */
  CudaDriver.Stream stream() {
    return branches.current();
  }

  /** Streams of passes that are planned and recorded. */
  Branches branches() {
    return branches;
  }

  /** Memory of the device, for results and workspace. */
  ScopeStack scopes() {
    return scopes;
  }

  /** Weights in the form that their kernels read. */
  PackCache packs() {
    return memory.packs();
  }

  /** Copies between host and device. */
  PinnedStaging staging() {
    return staging;
  }

  /** Chooses among ways to launch a kernel. */
  Tuner tuner() {
    return tuner;
  }

  /**
   * Queues work that may run beside what is queued after it, by own kernels alone. Its results must
   * stay allocated until the branch is joined.
   */
  Branch branch(Runnable work) {
    return branches.begin(work);
  }

  /** Queues a pass whose head may add its probabilities to a sink, and gives nothing then. */
  <T> T sinking(WindowSink into, Supplier<T> pass) {
    sink = into;
    try {
      return pass.get();
    } finally {
      sink = null;
    }
  }

  /** Where a head may add its probabilities, if there is such a place now. */
  @Nullable WindowSink sink() {
    return sink;
  }

  /**
   * Address of zeros, 4 bytes each, for kernels whose blocks count those that are done. Whoever is
   * the last leaves zeros again.
   */
  long tickets(long count) {
    return (branches.isBranch() ? ticketsOfBranches : tickets).atLeast(count);
  }

  /** Zeros that the kernels of one stream take in turn. */
  private final class Tickets {
    private long address; // freed with the driver
    private long count;

    long atLeast(long needed) {
      if (needed > count) {
        count = Math.max(needed, LEAST_TICKETS); // those before may be part of a recording
        long bytes = count * Integer.BYTES;
        address = driver.allocate(bytes);
        driver.fill(address, (byte) 0, bytes, stream());
      }
      return address;
    }
  }

  /** A new list of kernel arguments that begins with these device addresses. */
  KernelArguments arguments(@Nullable Buffer... buffers) {
    return arguments.start().buffers(buffers);
  }

  /**
   * Queues the kernel {@code entry} of {@code kernels/FILE.cu}.
   *
   * @param entry with the suffixes of its types, as in {@code layer_norm_forward_f32}
   */
  void launch(String file, String entry, LaunchGeometry geometry, KernelArguments arguments) {
    CudaDriver.Kernel kernel = kernels.computeIfAbsent(entry, name -> driver.kernel(file, name));
    driver.launch(kernel, geometry, arguments, stream());
  }

  /** Name of the entry point for a type, as in {@code layer_norm_forward_f32}. */
  static String entry(String name, Buffer... typed) {
    StringBuilder entry = new StringBuilder(name);
    for (Buffer buffer : typed) {
      entry.append('_').append(buffer.dtype().suffix());
    }
    return entry.toString();
  }

  /** Waits for queued work and copies float64 values to the host. */
  double[] doubles(Buffer source) {
    double[] values = new double[Math.toIntExact(source.elements())];
    staging.toHost(source.address(), MemorySegment.ofArray(values));
    return values;
  }

  /** Workspace of the innermost scope, in float32. */
  Buffer floats(long elements) {
    return scopes.allocate(DType.FLOAT32, elements);
  }
}
