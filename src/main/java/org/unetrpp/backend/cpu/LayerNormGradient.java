package org.unetrpp.backend.cpu;

/** The gradients of layer normalization of some rows, their statistics computed again. */
final class LayerNormGradient {
  private final int rows;
  private final int channels;
  private final Primitive statistics;
  private final Primitive gradients;

  LayerNormGradient(BackwardPrimitives primitives, int rows, int channels, double epsilon) {
    this.rows = rows;
    this.channels = channels;
    statistics = primitives.layerNormForTraining(rows, channels, epsilon);
    gradients = primitives.layerNorm(rows, channels, epsilon);
  }

  /** Values of scratch memory that {@link #run} needs. */
  long scratchValues() {
    return 2L * channels + 2L * rows + (long) rows * channels;
  }

  /**
   * Runs on contiguous rows.
   *
   * @param dx may be {@code dy}
   * @param scratch address of memory that begins with the gradients of scale and shift afterwards
   */
  void run(Worker worker, long dy, long x, long gamma, long dx, long scratch) {
    long shift = scratch + (long) channels * Float.BYTES;
    long mean = shift + (long) channels * Float.BYTES;
    long variance = mean + (long) rows * Float.BYTES;
    long normalized = variance + (long) rows * Float.BYTES;
    statistics.run(worker, x, normalized, gamma, gamma, mean, variance);
    gradients.run(worker, x, dy, gamma, mean, variance, dx, scratch, shift);
  }

  /** The gradient of the scale, which {@link #run} left. */
  static Values dgamma(long scratch, int channels) {
    return Values.at(scratch, channels);
  }

  /** The gradient of the shift, which {@link #run} left. */
  static Values dbeta(long scratch, int channels) {
    return Values.at(scratch + (long) channels * Float.BYTES, channels);
  }
}
