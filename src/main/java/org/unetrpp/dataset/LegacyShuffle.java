package org.unetrpp.dataset;

import org.apache.commons.math3.random.MersenneTwister;

/**
 * The shuffling of NumPy's legacy generator ({@code numpy.random.RandomState}), which draws the
 * folds and voxel lists of the published pipeline.
 */
public final class LegacyShuffle {
  private final MersenneTwister generator;

  /**
   * A generator of its own.
   *
   * @param seed from 0
   */
  public LegacyShuffle(int seed) {
    generator = new MersenneTwister(seed);
  }

  /** Shuffles in place: each entry from the last down changes places with one not after it. */
  public void shuffle(int[] values) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = upTo(i);
      int swapped = values[i];
      values[i] = values[j];
      values[j] = swapped;
    }
  }

  /** Uniform from 0 to {@code largest}, above 0: 32 bits, masked, drawn again if too large. */
  private int upTo(int largest) {
    int mask = -1 >>> Integer.numberOfLeadingZeros(largest);
    int drawn = generator.nextInt() & mask;
    while (drawn > largest) {
      drawn = generator.nextInt() & mask;
    }
    return drawn;
  }
}
