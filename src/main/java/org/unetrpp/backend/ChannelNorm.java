package org.unetrpp.backend;

import org.unetrpp.memory.Buffer;

/** A normalization of each channel over the voxels, as residual blocks use it. */
public sealed interface ChannelNorm {
  /** Added to variances by every normalization of the network. */
  double EPSILON = 1e-5;

  /** Instance normalization: each item's own mean and biased variance, no scale, no shift. */
  record Instance() implements ChannelNorm {}

  /**
   * Batch normalization with running statistics.
   *
   * @param name in published checkpoints
   * @param gamma scale, (C)
   * @param beta shift, (C)
   * @param mean running mean, (C)
   * @param variance running variance, (C)
   */
  record Batch(String name, Buffer gamma, Buffer beta, Buffer mean, Buffer variance)
      implements ChannelNorm {}
}
