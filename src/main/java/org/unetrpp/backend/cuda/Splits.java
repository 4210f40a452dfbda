package org.unetrpp.backend.cuda;

/**
 * How blocks share the steps of a sum.
 *
 * @param count blocks that share one sum
 * @param steps of each but the last, which has what is left
 */
record Splits(int count, int steps) {
  /**
   * As many as {@code wanted} blocks in all, where there are enough steps.
   *
   * @param sums number of sums, each of which takes a block at least
   * @param steps of one sum
   * @param most splits that there may be
   */
  static Splits of(long sums, long steps, long wanted, long most) {
    long count = Math.clamp(Math.min(wanted / sums, most), 1, Math.max(1, steps));
    long each = Math.max(1, Math.ceilDiv(steps, count));
    return new Splits(
        Math.toIntExact(Math.max(1, Math.ceilDiv(steps, each))), Math.toIntExact(each));
  }
}
