package org.unetrpp.backend.cuda;

import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/partial_sums.cu}: sums that were split over blocks. */
final class PartialSums {
  private static final String FILE = "partial_sums";
  private static final int VALUES = 32;
  private static final int SLICES = 8;

  private final CudaContext context;

  PartialSums(CudaContext context) {
    this.context = context;
  }

  /**
   * Adds the vectors of all splits to {@code sum}.
   *
   * @param partials where the first split's vector begins; each next one lies {@code stride}
   *     further
   */
  void add(Buffer partials, Buffer sum, long stride, int splits) {
    add(partials, sum, stride, splits, 1, 1, Math.toIntExact(sum.elements()));
  }

  /**
   * Adds the weights (taps, rows, columns) of all splits to {@code sum} (columns, rows, taps).
   *
   * @param partials where the first split's weights begin; each next lie {@code stride} further
   */
  void add(Buffer partials, Buffer sum, long stride, int splits, int taps, int rows, int columns) {
    long blocks = Math.ceilDiv((long) taps * rows * columns, (long) VALUES);
    context.launch(
        FILE,
        "partial_sums_add",
        new LaunchGeometry(Math.toIntExact(blocks), 1, 1, VALUES, SLICES, 1, 0),
        context.arguments(partials, sum).longs(stride).ints(splits, taps, rows, columns));
  }
}
