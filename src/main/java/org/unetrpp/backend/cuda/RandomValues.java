package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Fills buffers with values between -1 and 1, the same for the same seed. */
final class RandomValues {
  // A prime: whatever a kernel confuses, rows, planes or channels, it meets other values there.
  private static final int PERIOD = 65_521;

  private final CudaContext context;

  RandomValues(CudaContext context) {
    this.context = context;
  }

  /** A buffer of the innermost scope, filled. */
  Buffer allocate(DType dtype, long elements, long seed) {
    Buffer buffer = context.scopes().allocate(dtype, elements);
    fill(buffer, seed);
    return buffer;
  }

  /** Overwrites all values. */
  void fill(Buffer buffer, long seed) {
    CudaDriver driver = context.driver();
    long filled = Math.min(PERIOD, buffer.elements());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment values =
          arena.allocate(Math.max(1, filled * buffer.dtype().bytes()), Long.BYTES);
      write(values, filled, buffer.dtype(), new SplittableRandom(seed));
      driver.copyToDevice(
          values.asSlice(0, filled * buffer.dtype().bytes()), buffer.address(), context.stream());
      driver.synchronize(context.stream());
    }
    while (filled < buffer.elements()) {
      Buffer source = buffer.slice(0, Math.min(filled, buffer.elements() - filled));
      Buffer destination = buffer.slice(filled, source.elements());
      driver.copy(source.address(), destination.address(), source.bytes(), context.stream());
      filled += source.elements();
    }
  }

  private static void write(
      MemorySegment values, long count, DType dtype, SplittableRandom random) {
    for (long i = 0; i < count; i++) {
      float value = (float) random.nextDouble(-1, 1);
      switch (dtype) {
        case FLOAT32 -> values.setAtIndex(JAVA_FLOAT, i, value);
        case BFLOAT16 -> values.setAtIndex(JAVA_SHORT, i, BFloat16.fromFloat(value));
        case FLOAT64, FLOAT16 -> throw new IllegalArgumentException("values of type " + dtype);
      }
    }
  }
}
