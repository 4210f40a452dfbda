package org.unetrpp.backend.cpu;

import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;

/**
 * The factors of {@link DropoutMask}, some hundred blocks of random bits at a time: the rounds run
 * over arrays of words, one value of 32 bits in each long, and are compiled to vector instructions.
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

  private final long[] x0 = new long[LANES];
  private final long[] x1 = new long[LANES];
  private final long[] x2 = new long[LANES];
  private final long[] x3 = new long[LANES];
  private final float[] blocks = new float[LANES * DropoutMask.BLOCK];

  /**
   * Writes the factors of {@code count} values.
   *
   * @param first index of the first
   */
  void factors(Dropout dropout, long first, float[] factors, int count) {
    int done = 0;
    while (done < count) {
      long number = (first + done) / DropoutMask.BLOCK;
      int skip = (int) ((first + done) % DropoutMask.BLOCK);
      int run = Math.min(blocks.length - skip, count - done);
      int lanes = Math.ceilDiv(skip + run, DropoutMask.BLOCK);
      randomize(dropout, number, lanes);
      select(dropout, lanes);
      System.arraycopy(blocks, skip, factors, done, run);
      done += run;
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

  private void select(Dropout dropout, int lanes) {
    int threshold = (int) Math.round(dropout.probability() * (HALF_WORD + 1));
    int scale = Float.floatToRawIntBits((float) (1 / (1 - dropout.probability())));
    for (int i = 0; i < lanes; i++) {
      int at = i * DropoutMask.BLOCK;
      select((int) x0[i], threshold, scale, at);
      select((int) x1[i], threshold, scale, at + 2);
      select((int) x2[i], threshold, scale, at + 4);
      select((int) x3[i], threshold, scale, at + 6);
    }
  }

  /** Two factors from a word; a branch would be mispredicted too often. */
  private void select(int word, int threshold, int scale, int at) {
    int low = ((threshold - 1 - (word & HALF_WORD)) >> 31) & scale;
    int high = ((threshold - 1 - (word >>> 16)) >> 31) & scale;
    blocks[at] = Float.intBitsToFloat(low);
    blocks[at + 1] = Float.intBitsToFloat(high);
  }
}
