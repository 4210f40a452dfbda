package org.unetrpp.drawing;

/** Arithmetic of colors, {@code 0xRRGGBB}. */
public final class Colors {
  private Colors() {}

  /** A gray, from 0, black, to 255, white. */
  public static int gray(int value) {
    return value << 16 | value << 8 | value;
  }

  /** The color of a text such as {@code #00ff00}. */
  public static int parse(String text) {
    return Integer.parseInt(text.substring(1), 16);
  }

  /**
   * A mixture of two colors.
   *
   * @param share of the second, from 0 to 1
   */
  public static int mix(int first, int second, double share) {
    int mixed = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
      int from = first >> shift & 0xff;
      int to = second >> shift & 0xff;
      mixed |= (int) Math.round(from + (to - from) * share) << shift;
    }
    return mixed;
  }
}
