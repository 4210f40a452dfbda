package org.unetrpp.backend.cuda.driver;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.DeviceMemoryException;
import org.unetrpp.memory.HostMemory;

/**
 * An NVIDIA GPU through JCuda. It works in the device's primary context, which libraries of NVIDIA
 * and other parts of the process share.
 */
public final class JcudaDriver implements CudaDriver {
  /** Shared memory of a block, static and dynamic together, that needs no permission. */
  private static final int FREE_SHARED_BYTES = 48 * 1024;

  /** What says that an image is not for this device or this driver. */
  private static final Set<Integer> REFUSALS =
      Set.of(
          CUresult.CUDA_ERROR_INVALID_IMAGE,
          CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU,
          CUresult.CUDA_ERROR_INVALID_PTX,
          CUresult.CUDA_ERROR_JIT_COMPILER_NOT_FOUND,
          CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
          CUresult.CUDA_ERROR_JIT_COMPILATION_DISABLED,
          CUresult.CUDA_ERROR_INVALID_SOURCE,
          CUresult.CUDA_ERROR_NOT_SUPPORTED);

  /** Whose context is the current one of a thread, as far as this class made it so. */
  private static final ThreadLocal<@Nullable JcudaDriver> CURRENT = new ThreadLocal<>();

  private final DeviceProperties properties;
  private final CUdevice device;
  private final CUcontext context = new CUcontext();
  private final KernelImages images;
  private final Map<String, CUmodule> modules = new HashMap<>();
  private final Map<String, JcudaKernel> kernels = new HashMap<>();
  private final Map<Long, Long> allocated = new ConcurrentHashMap<>();
  private final Map<Long, HostAddress> hostAllocated = new ConcurrentHashMap<>();
  private @Nullable KernelArguments pointedTo;
  private Pointer arguments = new Pointer();
  private String lastLaunch = "";
  private boolean closed;

  private record JcudaEvent(CUevent handle) implements Event {}

  private record JcudaGraph(CUgraphExec handle) implements Graph {}

  private static final class JcudaKernel implements Kernel {
    private final String name;
    private final CUfunction function;
    private int allowedSharedBytes;

    JcudaKernel(String name, CUfunction function, int allowedSharedBytes) {
      this.name = name;
      this.function = function;
      this.allowedSharedBytes = allowedSharedBytes;
    }
  }

  /**
   * Opens a device.
   *
   * @throws CudaException if it is not there or cannot be used; the message says why
   */
  public static JcudaDriver open(int ordinal) {
    CudaDevices devices = CudaDevices.ofThisMachine();
    DeviceProperties properties = devices.usable(ordinal);
    return new JcudaDriver(
        properties,
        new KernelImages(
            KernelImages::onClassPath,
            ImageCache.ofUser(),
            () -> NvrtcCompiler.forDevice(properties, devices.libraries())));
  }

  private JcudaDriver(DeviceProperties properties, KernelImages images) {
    this.properties = properties;
    this.images = images;
    device = new CUdevice();
    DriverErrors.check(JCudaDriver.cuDeviceGet(device, properties.ordinal()), "cuDeviceGet");
    DriverErrors.check(
        JCudaDriver.cuDevicePrimaryCtxRetain(context, device), "cuDevicePrimaryCtxRetain");
  }

  /** Makes the context the thread's current one; every method that calls the driver begins so. */
  void enter() {
    if (closed) {
      throw new IllegalStateException("device %s is closed".formatted(properties.name()));
    }
    // A virtual thread may have moved to another one of the system's since.
    if (CURRENT.get() != this || Thread.currentThread().isVirtual()) {
      DriverErrors.check(JCudaDriver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
      CURRENT.set(this);
    }
  }

  private static CUstream handle(Stream stream) {
    return ((JcudaStream) stream).handle();
  }

  private static CUevent handle(Event event) {
    return ((JcudaEvent) event).handle();
  }

  @Override
  public DeviceProperties device() {
    return properties;
  }

  @Override
  public long allocate(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes is %d, expected 0 or more".formatted(bytes));
    }
    enter();
    DeviceAddress address = new DeviceAddress();
    int result = JCudaDriver.cuMemAlloc(address, Math.max(1, bytes));
    if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
      throw new DeviceMemoryException(
          "no memory of %s for %d bytes; %d of %d are free"
              .formatted(properties.name(), bytes, freeBytes(), properties.totalBytes()));
    }
    if (result != CUresult.CUDA_SUCCESS) {
      throw failed("cuMemAlloc of %d bytes".formatted(bytes), result);
    }
    allocated.put(address.value(), bytes);
    return address.value();
  }

  @Override
  public void free(long address) {
    enter();
    if (allocated.remove(address) == null) {
      throw new CudaException("cuMemFree: no block starts at address " + address);
    }
    check(JCudaDriver.cuMemFree(new DeviceAddress(address)), "cuMemFree");
  }

  @Override
  public long freeBytes() {
    enter();
    long[] free = new long[1];
    long[] total = new long[1];
    check(JCudaDriver.cuMemGetInfo(free, total), "cuMemGetInfo");
    return free[0];
  }

  /** At most 2 GiB in one piece. */
  @Override
  public MemorySegment allocateHost(long bytes) {
    if (bytes < 0 || bytes > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "bytes is %d, expected 0 to %d".formatted(bytes, Integer.MAX_VALUE));
    }
    enter();
    HostAddress address = new HostAddress();
    int result =
        JCudaDriver.cuMemHostAlloc(
            address, Math.max(1, bytes), JCudaDriver.CU_MEMHOSTALLOC_PORTABLE);
    if (result != CUresult.CUDA_SUCCESS) {
      throw failed("cuMemHostAlloc of %d bytes".formatted(bytes), result);
    }
    hostAllocated.put(address.value(), address);
    MemorySegment segment = HostMemory.segment(address.value(), bytes);
    segment.fill((byte) 0);
    return segment;
  }

  @Override
  public void freeHost(MemorySegment memory) {
    enter();
    HostAddress address = hostAllocated.remove(memory.address());
    if (address == null) {
      throw new CudaException("cuMemFreeHost: no block starts at address " + memory.address());
    }
    check(JCudaDriver.cuMemFreeHost(address), "cuMemFreeHost");
  }

  @Override
  public void copyToDevice(MemorySegment source, long destination, Stream stream) {
    enter();
    if (source.byteSize() > 0) {
      int result =
          JCudaDriver.cuMemcpyHtoDAsync(
              new DeviceAddress(destination),
              HostAddress.of(source),
              source.byteSize(),
              handle(stream));
      checkCopy(result, "cuMemcpyHtoDAsync", source.byteSize());
    }
  }

  @Override
  public void copyToHost(long source, MemorySegment destination, Stream stream) {
    enter();
    if (destination.byteSize() > 0) {
      int result =
          JCudaDriver.cuMemcpyDtoHAsync(
              HostAddress.of(destination),
              new DeviceAddress(source),
              destination.byteSize(),
              handle(stream));
      checkCopy(result, "cuMemcpyDtoHAsync", destination.byteSize());
    }
  }

  @Override
  public void copy(long source, long destination, long bytes, Stream stream) {
    enter();
    if (bytes > 0) {
      int result =
          JCudaDriver.cuMemcpyDtoDAsync(
              new DeviceAddress(destination), new DeviceAddress(source), bytes, handle(stream));
      checkCopy(result, "cuMemcpyDtoDAsync", bytes);
    }
  }

  @Override
  public void fill(long destination, byte value, long bytes, Stream stream) {
    enter();
    if (bytes > 0) {
      int result =
          JCudaDriver.cuMemsetD8Async(new DeviceAddress(destination), value, bytes, handle(stream));
      checkCopy(result, "cuMemsetD8Async", bytes);
    }
  }

  private void checkCopy(int result, String call, long bytes) {
    if (result != CUresult.CUDA_SUCCESS) {
      throw failed("%s of %d bytes".formatted(call, bytes), result);
    }
  }

  @Override
  public Stream createStream() {
    enter();
    CUstream stream = new CUstream();
    check(
        JCudaDriver.cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING),
        "cuStreamCreate");
    return new JcudaStream(stream, this);
  }

  @Override
  public void destroy(Stream stream) {
    enter();
    check(JCudaDriver.cuStreamDestroy(handle(stream)), "cuStreamDestroy");
  }

  @Override
  public void synchronize(Stream stream) {
    enter();
    check(JCudaDriver.cuStreamSynchronize(handle(stream)), "cuStreamSynchronize");
  }

  @Override
  public Event createEvent() {
    enter();
    CUevent event = new CUevent();
    check(JCudaDriver.cuEventCreate(event, 0), "cuEventCreate");
    return new JcudaEvent(event);
  }

  @Override
  public void destroy(Event event) {
    enter();
    check(JCudaDriver.cuEventDestroy(handle(event)), "cuEventDestroy");
  }

  @Override
  public void record(Event event, Stream stream) {
    enter();
    check(JCudaDriver.cuEventRecord(handle(event), handle(stream)), "cuEventRecord");
  }

  @Override
  public void await(Event event, Stream stream) {
    enter();
    check(JCudaDriver.cuStreamWaitEvent(handle(stream), handle(event), 0), "cuStreamWaitEvent");
  }

  @Override
  public void synchronize(Event event) {
    enter();
    check(JCudaDriver.cuEventSynchronize(handle(event)), "cuEventSynchronize");
  }

  @Override
  public float elapsedMillis(Event first, Event second) {
    synchronize(second);
    float[] millis = new float[1];
    check(
        JCudaDriver.cuEventElapsedTime(millis, handle(first), handle(second)),
        "cuEventElapsedTime");
    return millis[0];
  }

  @Override
  public Kernel kernel(String file, String entry) {
    enter();
    String key = file + '/' + entry;
    JcudaKernel kernel = kernels.get(key);
    if (kernel == null) {
      kernel = find(file, entry);
      kernels.put(key, kernel);
    }
    return kernel;
  }

  @Override
  public String sourceKey(String file) {
    return images.sourceKey(file);
  }

  private JcudaKernel find(String file, String entry) {
    CUmodule module = modules.get(file);
    if (module == null) {
      module = images.load(file, this::load);
      modules.put(file, module);
    }
    CUfunction function = new CUfunction();
    int result = JCudaDriver.cuModuleGetFunction(function, module, entry);
    if (result == CUresult.CUDA_ERROR_NOT_FOUND) {
      throw new CudaException("kernels/%s has no entry point '%s'".formatted(file, entry));
    }
    check(result, "cuModuleGetFunction of " + entry);
    int[] used = new int[1];
    check(
        JCudaDriver.cuFuncGetAttribute(
            used, CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function),
        "cuFuncGetAttribute of " + entry);
    return new JcudaKernel(entry, function, FREE_SHARED_BYTES - used[0]);
  }

  private CUmodule load(byte[] image) throws ImageRefusedException {
    CUmodule module = new CUmodule();
    int result = JCudaDriver.cuModuleLoadData(module, image);
    if (REFUSALS.contains(result)) {
      throw new ImageRefusedException(DriverErrors.text(result));
    }
    check(result, "cuModuleLoadData");
    return module;
  }

  @Override
  public void launch(Kernel kernel, LaunchGeometry geometry, KernelArguments list, Stream stream) {
    enter();
    JcudaKernel launched = (JcudaKernel) kernel;
    if (geometry.sharedBytes() > launched.allowedSharedBytes) {
      allowShared(launched, geometry.sharedBytes());
    }
    int result =
        JCudaDriver.cuLaunchKernel(
            launched.function,
            geometry.gridX(),
            geometry.gridY(),
            geometry.gridZ(),
            geometry.blockX(),
            geometry.blockY(),
            geometry.blockZ(),
            geometry.sharedBytes(),
            handle(stream),
            pointer(list),
            null);
    if (result != CUresult.CUDA_SUCCESS) {
      throw failed("cuLaunchKernel of %s, %s".formatted(launched.name, geometry), result);
    }
    lastLaunch = launched.name;
  }

  private void allowShared(JcudaKernel kernel, int bytes) {
    int result =
        JCudaDriver.cuFuncSetAttribute(
            kernel.function,
            CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
            bytes);
    if (result != CUresult.CUDA_SUCCESS) {
      throw failed(
          "cuFuncSetAttribute of %s to %d bytes of shared memory, of which a block may have %d"
              .formatted(kernel.name, bytes, properties.sharedBytesPerBlock()),
          result);
    }
    kernel.allowedSharedBytes = bytes;
  }

  /** Of the array of the arguments' addresses; a list keeps its array. */
  private Pointer pointer(KernelArguments list) {
    if (list != pointedTo) {
      arguments = Pointer.to(list.addresses());
      pointedTo = list;
    }
    return arguments;
  }

  /** Other threads may go on as they like; this one may not do what a recording cannot hold. */
  @Override
  public void beginCapture(Stream stream) {
    enter();
    check(
        JCudaDriver.cuStreamBeginCapture(
            handle(stream), CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
        "cuStreamBeginCapture");
  }

  @Override
  public Graph endCapture(Stream stream) {
    enter();
    CUgraph graph = new CUgraph();
    check(JCudaDriver.cuStreamEndCapture(handle(stream), graph), "cuStreamEndCapture");
    try {
      CUgraphExec executable = new CUgraphExec();
      check(JCudaDriver.cuGraphInstantiate(executable, graph, 0), "cuGraphInstantiate");
      return new JcudaGraph(executable);
    } finally {
      JCudaDriver.cuGraphDestroy(graph);
    }
  }

  @Override
  public void launch(Graph graph, Stream stream) {
    enter();
    check(
        JCudaDriver.cuGraphLaunch(((JcudaGraph) graph).handle(), handle(stream)), "cuGraphLaunch");
    lastLaunch = "a graph";
  }

  @Override
  public void destroy(Graph graph) {
    enter();
    check(JCudaDriver.cuGraphExecDestroy(((JcudaGraph) graph).handle()), "cuGraphExecDestroy");
  }

  private void check(int result, String call) {
    if (result != CUresult.CUDA_SUCCESS) {
      throw failed(call, result);
    }
  }

  /** What fails may have been queued before: the driver tells at the next call that it is asked. */
  private CudaException failed(String call, int result) {
    String before =
        lastLaunch.isEmpty()
            ? ""
            : " (queued last before: %s; CUDA_LAUNCH_BLOCKING=1 finds out which kernel fails)"
                .formatted(lastLaunch);
    return new CudaException(
        "%s on cuda:%d: %s%s"
            .formatted(call, properties.ordinal(), DriverErrors.text(result), before));
  }

  /** After an error of the device all these calls fail too, which is nothing new then. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    enter();
    List<Long> addresses = new ArrayList<>(allocated.keySet());
    addresses.forEach(address -> JCudaDriver.cuMemFree(new DeviceAddress(address)));
    allocated.clear();
    hostAllocated.values().forEach(JCudaDriver::cuMemFreeHost);
    hostAllocated.clear();
    modules.values().forEach(JCudaDriver::cuModuleUnload);
    modules.clear();
    kernels.clear();
    closed = true;
    CURRENT.remove();
    JCudaDriver.cuDevicePrimaryCtxRelease(device);
  }
}
