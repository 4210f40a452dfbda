package org.unetrpp.pipeline;

/**
 * A fixed number of bits, searched within bounds. {@link java.util.BitSet} searches to its end,
 * which makes a search in each row of a volume quadratic where the volume is empty.
 *
 * @param words the bits, 64 in each word, the lowest first; unused bits of the last are 0
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Bits(long[] words) {
  /** So many bits, none set. */
  static Bits none(int count) {
    return new Bits(new long[Math.ceilDiv(count, Long.SIZE)]);
  }

  boolean get(int index) {
    return (words[index >> 6] & 1L << index) != 0;
  }

  void clear(int index) {
    words[index >> 6] &= ~(1L << index);
  }

  /** Sets the bits from one index to before another. */
  void set(int from, int to) {
    for (int index = from; index < to; ) {
      int end = Math.min(to, (index | 63) + 1);
      words[index >> 6] |= -1L >>> (64 - (end - index)) << index;
      index = end;
    }
  }

  /** The first set bit of a range, or its end. */
  int nextSet(int from, int to) {
    return next(from, to, 0);
  }

  /** The first bit of a range that is not set, or its end. */
  int nextClear(int from, int to) {
    return next(from, to, -1);
  }

  private int next(int from, int to, long flip) {
    for (int index = from; index < to; index = (index | 63) + 1) {
      long word = (words[index >> 6] ^ flip) >>> index;
      if (word != 0) {
        return Math.min(to, index + Long.numberOfTrailingZeros(word));
      }
    }
    return to;
  }

  /** Past the last set bit of a range, or its start. */
  int endOfSet(int from, int to) {
    for (int index = to - 1; index >= from; index = (index & ~63) - 1) {
      long word = words[index >> 6] << (63 - (index & 63));
      if (word != 0) {
        return Math.max(from, index + 1 - Long.numberOfLeadingZeros(word));
      }
    }
    return from;
  }

  /** How many bits are set. */
  int count() {
    int count = 0;
    for (long word : words) {
      count += Long.bitCount(word);
    }
    return count;
  }
}
