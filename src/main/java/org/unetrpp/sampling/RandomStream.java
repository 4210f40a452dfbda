package org.unetrpp.sampling;

import java.util.random.RandomGenerator;

/**
 * A stream of random bits of its own for each use: xoshiro256++ (Blackman and Vigna 2021), started
 * by SplitMix64 from a hash of what the stream is for. Nothing of it depends on the version of
 * Java.
 */
final class RandomStream implements RandomGenerator {
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  /** What a stream decides. */
  enum Purpose {
    /** Which part of which case a training sample shows. */
    TRAINING_PATCH(0),
    /** Which part of which case a validation sample shows. */
    VALIDATION_PATCH(1),
    /** How a training sample is transformed. */
    AUGMENTATION(2);

    private final int number;

    Purpose(int number) {
      this.number = number;
    }
  }

  private long s0;
  private long s1;
  private long s2;
  private long s3;

  /** A generator in a state, which is not all zero. */
  RandomStream(long s0, long s1, long s2, long s3) {
    this.s0 = s0;
    this.s1 = s1;
    this.s2 = s2;
    this.s3 = s3;
  }

  /**
   * The stream of a sample.
   *
   * @param seed of the run
   * @param purpose what it decides
   * @param batch index of the batch
   * @param position of the sample in its batch
   */
  static RandomStream of(long seed, Purpose purpose, long batch, int position) {
    long key = mixed(seed, 1);
    key = mixed(key ^ purpose.number, 1);
    key = mixed(key ^ batch, 1);
    key = mixed(key ^ position, 1);
    return new RandomStream(mixed(key, 1), mixed(key, 2), mixed(key, 3), mixed(key, 4));
  }

  /** What SplitMix64 gives at its n-th step from a state. */
  private static long mixed(long state, int step) {
    long z = state + step * GOLDEN_GAMMA;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  @Override
  public long nextLong() {
    long result = Long.rotateLeft(s0 + s3, 23) + s0;
    long shifted = s1 << 17;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    s3 = Long.rotateLeft(s3, 45);
    return result;
  }
}
