package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Launches {@code kernels/comparison.cu}. */
final class ComparisonKernels {
  private static final String FILE = "comparison";
  private static final int THREADS = 256;
  private static final int MAX_BLOCKS = 256;
  private static final int SUMS = 3;

  private final CudaContext context;

  ComparisonKernels(CudaContext context) {
    this.context = context;
  }

  /**
   * How far two results are apart.
   *
   * @param relative norm of the difference in terms of that of the expected result
   * @param largest difference in terms of the expected result's root mean square
   */
  record Difference(double relative, double largest) {}

  /** Compares results of one type and size, and waits for it. */
  Difference compare(Buffer actual, Buffer expected) {
    long count = expected.elements();
    if (actual.dtype() != expected.dtype() || actual.elements() != count) {
      throw new IllegalArgumentException(
          "actual is %s, expected to be like %s".formatted(actual, expected));
    }
    int blocks = Math.clamp(Math.ceilDiv(count, THREADS), 1, MAX_BLOCKS);
    try (var _ = context.scopes().open();
        Arena arena = Arena.ofConfined()) {
      Buffer partials = context.scopes().allocate(DType.FLOAT64, (long) SUMS * blocks);
      context.launch(
          FILE,
          CudaContext.entry("comparison", actual),
          LaunchGeometry.blocks(blocks, THREADS),
          context.arguments(actual, expected, partials).longs(count));
      MemorySegment host = arena.allocate(JAVA_DOUBLE, partials.elements());
      context.driver().copyToHost(partials.address(), host, context.stream());
      context.driver().synchronize(context.stream());
      return difference(host, blocks, count);
    }
  }

  private static Difference difference(MemorySegment partials, int blocks, long count) {
    double squares = 0;
    double reference = 0;
    double largest = 0;
    for (int block = 0; block < blocks; block++) {
      squares += partials.getAtIndex(JAVA_DOUBLE, (long) SUMS * block);
      reference += partials.getAtIndex(JAVA_DOUBLE, (long) SUMS * block + 1);
      largest = Math.max(largest, partials.getAtIndex(JAVA_DOUBLE, (long) SUMS * block + 2));
    }
    if (squares == 0) {
      return new Difference(0, 0); // nothing differs, also where everything is 0
    }
    return new Difference(Math.sqrt(squares / reference), largest / Math.sqrt(reference / count));
  }
}
