package org.unetrpp.backend.cuda;

/** The upper half of a float32, as a number of 16 bits. */
final class BFloat16 {
  private static final int DROPPED_BITS = 16;
  private static final int HALF = 0x7FFF;
  private static final short NOT_A_NUMBER = 0x7FFF;

  private BFloat16() {}

  /** To the nearest, ties to even; NaN stays NaN. */
  static short fromFloat(float value) {
    if (Float.isNaN(value)) {
      return NOT_A_NUMBER;
    }
    int bits = Float.floatToRawIntBits(value);
    return (short) ((bits + HALF + ((bits >>> DROPPED_BITS) & 1)) >>> DROPPED_BITS);
  }

  static float toFloat(short bits) {
    return Float.intBitsToFloat(bits << DROPPED_BITS);
  }
}
