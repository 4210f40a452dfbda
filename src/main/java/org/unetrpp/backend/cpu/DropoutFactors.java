package org.unetrpp.backend.cpu;

import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;

/**
 * The factors of {@link DropoutMask}, some hundred blocks of random bits at a time: the rounds run
 * over arrays of words, one value of 32 bits in each long, and are compiled to vector instructions.
 * So are the comparisons, which leave a bit for each value of a block; the factors of a block come
 * from a table of all combinations.
 */
final class DropoutFactors {
  /** Blocks of random bits made together. */
  static final int LANES = 512;

  private static final int ROUNDS = 10;
  private static final long MULTIPLIER_0 = 0xD2511F53L;
  private static final long MULTIPLIER_1 = 0xCD9E8D57L;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;
  private static final long WORD = 0xFFFFFFFFL;
  private static final int HALF_WORD = 0xFFFF;
  private static final int BLOCK = DropoutMask.BLOCK;

  private final long[] x0 = new long[LANES];
  private final long[] x1 = new long[LANES];
  private final long[] x2 = new long[LANES];
  private final long[] x3 = new long[LANES];
  private final byte[] bits = new byte[LANES];
  private final float[] blocks = new float[LANES * BLOCK];

  /** The factors of a block for each combination of values left out, first value lowest. */
  private final float[] combinations = new float[BLOCK << BLOCK];

  private double probability = Double.NaN;

  /**
   * Writes the factors of {@code count} values.
   *
   * @param first index of the first
   */
  void factors(Dropout dropout, long first, float[] factors, int count) {
    prepare(dropout);
    int done = 0;
    while (done < count) {
      long number = (first + done) / BLOCK;
      int skip = (int) ((first + done) % BLOCK);
      int run = Math.min(blocks.length - skip, count - done);
      int lanes = Math.ceilDiv(skip + run, BLOCK);
      bits(dropout, number, lanes, bits, 0);
      if (skip == 0 && run == lanes * BLOCK) {
        select(bits, 0, factors, done, lanes);
      } else {
        select(bits, 0, blocks, 0, lanes);
        System.arraycopy(blocks, skip, factors, done, run);
      }
      done += run;
    }
  }

  /**
   * Which of some values are left out: a bit for each, the first in the lowest.
   *
   * @param first index of the first value, a multiple of {@link DropoutMask#BLOCK}
   * @param count values, as many blocks of them
   */
  byte[] bits(Dropout dropout, long first, int count) {
    byte[] result = new byte[count / BLOCK];
    for (int done = 0; done < result.length; done += LANES) {
      int lanes = Math.min(LANES, result.length - done);
      bits(dropout, first / BLOCK + done, lanes, result, done);
    }
    return result;
  }

  /**
   * Writes the factors of values whose bits are known.
   *
   * @param first value among those, a multiple of {@link DropoutMask#BLOCK}
   * @param count values, as many blocks of them
   */
  void factors(Dropout dropout, byte[] known, int first, float[] factors, int count) {
    prepare(dropout);
    select(known, first / BLOCK, factors, 0, count / BLOCK);
  }

  private void prepare(Dropout dropout) {
    if (probability != dropout.probability()) {
      probability = dropout.probability();
      combine((float) (1 / (1 - probability)));
    }
  }

  /** The bits of some blocks, from block {@code number} on. */
  private void bits(Dropout dropout, long number, int lanes, byte[] to, int at) {
    randomize(dropout, number, lanes);
    long threshold = Math.round(dropout.probability() * (HALF_WORD + 1));
    compare(x0, x1, x2, x3, threshold, lanes);
    for (int i = 0; i < lanes; i++) {
      to[at + i] = (byte) x0[i];
    }
  }

  private void combine(float scale) {
    for (int i = 0; i < combinations.length; i++) {
      boolean out = ((i / BLOCK) & (1 << (i % BLOCK))) != 0;
      combinations[i] = out ? 0 : scale;
    }
  }

  private void randomize(Dropout dropout, long number, int lanes) {
    for (int i = 0; i < lanes; i++) {
      long block = number + i;
      x0[i] = block & WORD;
      x1[i] = (block ^ dropout.step()) >>> 32;
      x2[i] = dropout.layer() & WORD;
      x3[i] = dropout.step() & WORD;
    }
    int key0 = (int) dropout.seed();
    int key1 = (int) (dropout.seed() >>> 32);
    for (int round = 0; round < ROUNDS; round++) {
      mix(x0, x1, x2, x3, key0 & WORD, key1 & WORD, lanes);
      key0 += WEYL_0;
      key1 += WEYL_1;
    }
  }

  private static void mix(
      long[] x0, long[] x1, long[] x2, long[] x3, long key0, long key1, int lanes) {
    for (int i = 0; i < lanes; i++) {
      long product0 = MULTIPLIER_0 * x0[i];
      long product1 = MULTIPLIER_1 * x2[i];
      x0[i] = (product1 >>> 32) ^ x1[i] ^ key0;
      x2[i] = (product0 >>> 32) ^ x3[i] ^ key1;
      x1[i] = product1 & WORD;
      x3[i] = product0 & WORD;
    }
  }

  /** Leaves in {@code x0} a bit for each value of a block: whether it is left out. */
  private static void compare(
      long[] x0, long[] x1, long[] x2, long[] x3, long threshold, int lanes) {
    for (int i = 0; i < lanes; i++) {
      long first = x0[i];
      long second = x1[i];
      x0[i] =
          (((first & HALF_WORD) - threshold) >>> 63)
              | ((((first >>> 16) - threshold) >>> 63) << 1)
              | ((((second & HALF_WORD) - threshold) >>> 63) << 2)
              | ((((second >>> 16) - threshold) >>> 63) << 3);
    }
    for (int i = 0; i < lanes; i++) {
      long third = x2[i];
      long fourth = x3[i];
      x0[i] |=
          ((((third & HALF_WORD) - threshold) >>> 63) << 4)
              | ((((third >>> 16) - threshold) >>> 63) << 5)
              | ((((fourth & HALF_WORD) - threshold) >>> 63) << 6)
              | ((((fourth >>> 16) - threshold) >>> 63) << 7);
    }
  }

  /** The factors of each block; eight moves take less time than the call of a copy. */
  private void select(byte[] known, int first, float[] to, int at, int lanes) {
    float[] from = combinations;
    for (int i = 0; i < lanes; i++) {
      int source = Byte.toUnsignedInt(known[first + i]) * BLOCK;
      int target = at + i * BLOCK;
      to[target] = from[source];
      to[target + 1] = from[source + 1];
      to[target + 2] = from[source + 2];
      to[target + 3] = from[source + 3];
      to[target + 4] = from[source + 4];
      to[target + 5] = from[source + 5];
      to[target + 6] = from[source + 6];
      to[target + 7] = from[source + 7];
    }
  }
}
