package org.unetrpp.backend;

/**
 * The random bits of a {@link Dropout}: Philox4x32-10 (Salmon et al. 2011) with the seed as key and
 * the block's number, layer and step as counter. Each block of 128 bits decides on eight values, 16
 * bits each, the lowest of the first word first.
 */
public final class DropoutMask {
  /** Values that a block of random bits decides on. */
  public static final int BLOCK = 8;

  private static final int ROUNDS = 10;
  private static final int MULTIPLIER_0 = 0xD2511F53;
  private static final int MULTIPLIER_1 = 0xCD9E8D57;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;
  private static final int HALF_WORDS = 1 << 16;
  private static final long LOW = 0xFFFFFFFFL;

  private final Dropout dropout;
  private final int threshold;
  private final float scale;

  public DropoutMask(Dropout dropout) {
    this.dropout = dropout;
    threshold = (int) Math.round(dropout.probability() * HALF_WORDS);
    scale = (float) (1 / (1 - dropout.probability()));
  }

  /** Values whose 16 bits are below it are left out. */
  public int threshold() {
    return threshold;
  }

  /** What a value that stays is multiplied with. */
  public float scale() {
    return scale;
  }

  /**
   * Writes the factors, 0 or {@link #scale}, of {@code count} values.
   *
   * @param first index of the first
   */
  public void factors(long first, float[] factors, int count) {
    int done = 0;
    while (done < count) {
      long index = first + done;
      int skip = (int) (index % BLOCK);
      int run = Math.min(BLOCK - skip, count - done);
      block(index / BLOCK, skip, run, factors, done);
      done += run;
    }
  }

  private void block(long number, int skip, int run, float[] factors, int at) {
    int x0 = (int) number;
    int x1 = (int) (number >>> 32) ^ (int) (dropout.step() >>> 32);
    int x2 = dropout.layer();
    int x3 = (int) dropout.step();
    int key0 = (int) dropout.seed();
    int key1 = (int) (dropout.seed() >>> 32);
    for (int round = 0; round < ROUNDS; round++) {
      long product0 = (MULTIPLIER_0 & LOW) * (x0 & LOW);
      long product1 = (MULTIPLIER_1 & LOW) * (x2 & LOW);
      int next0 = (int) (product1 >>> 32) ^ x1 ^ key0;
      int next2 = (int) (product0 >>> 32) ^ x3 ^ key1;
      x1 = (int) product1;
      x3 = (int) product0;
      x0 = next0;
      x2 = next2;
      key0 += WEYL_0;
      key1 += WEYL_1;
    }
    for (int i = 0; i < run; i++) {
      int value = skip + i;
      int word = value < 2 ? x0 : value < 4 ? x1 : value < 6 ? x2 : x3;
      int bits = (value & 1) == 0 ? word & 0xFFFF : word >>> 16;
      factors[at + i] = bits < threshold ? 0 : scale;
    }
  }
}
