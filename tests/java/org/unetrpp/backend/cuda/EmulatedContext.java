package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.function.LongSupplier;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.HostMemory;

/**
 * What launchers share, on a device that the processor plays, or on the GPU that {@link
 * EmulatedCuda} names; closing it fails if memory is left.
 */
final class EmulatedContext implements AutoCloseable {
  private static final long MEMORY = 1L << 30;

  private final CudaDriver driver;
  private final LongSupplier launches;
  private final DeviceMemory memory;
  private final CudaContext context;

  @MustBeClosed
  EmulatedContext(long totalBytes) {
    this(totalBytes, false);
  }

  /**
   * The same with an order of threads.
   *
   * @param backwards whether threads take turns from the last to the first
   */
  @MustBeClosed
  EmulatedContext(boolean backwards) {
    this(MEMORY, backwards);
  }

  @MustBeClosed
  private EmulatedContext(long totalBytes, boolean backwards) {
    if (EmulatedCuda.GPU == null) {
      EmulatedDriver emulated = new EmulatedDriver(totalBytes, backwards);
      driver = emulated;
      launches = emulated::launches;
    } else {
      GpuOnHostMemory gpu = new GpuOnHostMemory(EmulatedCuda.GPU);
      driver = gpu.driver();
      launches = gpu::launches;
    }
    memory = DeviceMemory.unpooled(driver);
    context = new CudaContext(driver, driver.createStream(), memory);
  }

  @MustBeClosed
  EmulatedContext() {
    this(MEMORY);
  }

  CudaContext context() {
    return context;
  }

  /** Kernels launched so far. */
  long launches() {
    return launches.getAsLong();
  }

  long bytesInUse() {
    return memory.bytesInUse();
  }

  /** A buffer of the innermost scope with these values. */
  Buffer buffer(DType dtype, float... values) {
    Buffer buffer = context.scopes().allocate(dtype, values.length);
    for (int i = 0; i < values.length; i++) {
      write(buffer, i, values[i]);
    }
    return buffer;
  }

  static float[] values(Buffer buffer) {
    float[] values = new float[Math.toIntExact(buffer.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = read(buffer, i);
    }
    return values;
  }

  static float read(Buffer buffer, long index) {
    MemorySegment values = HostMemory.segment(buffer);
    return switch (buffer.dtype()) {
      case FLOAT32 -> values.getAtIndex(JAVA_FLOAT, index);
      case BFLOAT16 -> BFloat16.toFloat(values.getAtIndex(JAVA_SHORT, index));
      case FLOAT64, FLOAT16 -> throw new IllegalArgumentException("type " + buffer.dtype());
    };
  }

  static void write(Buffer buffer, long index, float value) {
    MemorySegment values = HostMemory.segment(buffer);
    switch (buffer.dtype()) {
      case FLOAT32 -> values.setAtIndex(JAVA_FLOAT, index, value);
      case BFLOAT16 -> values.setAtIndex(JAVA_SHORT, index, BFloat16.fromFloat(value));
      case FLOAT64, FLOAT16 -> throw new IllegalArgumentException("type " + buffer.dtype());
    }
  }

  /** Values between -1 and 1 that a type represents. */
  static float[] random(Random random, DType dtype, long count) {
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      float value = 2 * random.nextFloat() - 1;
      values[i] = dtype == DType.BFLOAT16 ? BFloat16.toFloat(BFloat16.fromFloat(value)) : value;
    }
    return values;
  }

  @Override
  public void close() {
    long left = memory.bytesInUse();
    memory.close();
    driver.close();
    if (left != 0) {
      throw new IllegalStateException(left + " bytes of results were never released");
    }
  }
}
