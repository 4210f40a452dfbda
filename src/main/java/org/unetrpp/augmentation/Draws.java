package org.unetrpp.augmentation;

import java.util.random.RandomGenerator;

/**
 * Random numbers, each computed from {@link RandomGenerator#nextLong} in a way that is spelled out
 * here, so that a stream of bits means the same patches in every version of Java.
 */
public final class Draws {
  private final RandomGenerator random;
  private double spare = Double.NaN;

  /** Draws from a generator. */
  public Draws(RandomGenerator random) {
    this.random = random;
  }

  /** Uniform in [0, 1), in steps of 2^-53. */
  private double unit() {
    return (random.nextLong() >>> 11) * 0x1p-53;
  }

  /** Uniform from {@code low} to {@code high}. */
  public double uniform(double low, double high) {
    return low + (high - low) * unit();
  }

  /** True with a probability. */
  public boolean chance(double probability) {
    return unit() < probability;
  }

  /** Uniform from 0 to {@code bound - 1}; {@code bound} is at least 1. */
  public int below(int bound) {
    return (int) Math.unsignedMultiplyHigh(random.nextLong(), bound);
  }

  /** Below 1 or above, each with a probability of one half, and there uniform. */
  double aroundOne(double low, double high) {
    return chance(0.5) ? uniform(low, 1) : uniform(1, high);
  }

  /** Normal with mean 0 and standard deviation 1, by Marsaglia's polar method. */
  double gaussian() {
    if (!Double.isNaN(spare)) {
      double second = spare;
      spare = Double.NaN;
      return second;
    }
    double x;
    double y;
    double squared;
    do {
      x = uniform(-1, 1);
      y = uniform(-1, 1);
      squared = x * x + y * y;
    } while (squared >= 1 || squared == 0);
    double factor = Math.sqrt(-2 * StrictMath.log(squared) / squared);
    spare = y * factor;
    return x * factor;
  }
}
