package org.unetrpp.backend.cpu.machine;

/**
 * Winograd's minimal filtering F(4, 3): four neighboring outputs of a filter of three taps from six
 * products instead of twelve (Lavin and Gray 2016, arXiv 1509.09308, in the construction of Cook
 * and Toom). With the points {@code 0, a, -a, b, -b} and infinity, six inputs x and three weights
 * w,
 *
 * <pre>
 *   v = B x     v0 = a^2 b^2 x0 - (a^2 + b^2) x2 + x4
 *               v1, v2 = (x4 - b^2 x2) +- a (x3 - b^2 x1)
 *               v3, v4 = (x4 - a^2 x2) +- b (x3 - a^2 x1)
 *               v5 = a^2 b^2 x1 - (a^2 + b^2) x3 + x5
 *   u = G w     u_p = (w0 + p w1 + p^2 w2) / product over points q other than p of (p - q);  u5 = w2
 *   y = A (u v) y0 = m0 + (m1 + m2) + (m3 + m4)         y1 = a (m1 - m2) + b (m3 - m4)
 *               y2 = a^2 (m1 + m2) + b^2 (m3 + m4)      y3 = a^3 (m1 - m2) + b^3 (m3 - m4) + m5
 * </pre>
 *
 * <p>With a = 5/8 and b = 3/2 rounding errors are about 1.2 times those of plain sums, with the
 * usual 1 and 2 about 1.7 times (normal inputs, 16 to 64 channels).
 */
final class Winograd {
  /** Outputs of a tile. */
  static final int TILE = 4;

  /** Products of a tile. */
  static final int PRODUCTS = 6;

  static final double A = 0.625;
  static final double B = 1.5;

  private static final double[] POINTS = {0, A, -A, B, -B};

  private Winograd() {}

  /** {@code G}, (6, 3). */
  static double[][] weightTransform() {
    double[][] transform = new double[PRODUCTS][3];
    for (int i = 0; i < POINTS.length; i++) {
      double scale = 1;
      for (int j = 0; j < POINTS.length; j++) {
        scale *= i == j ? 1 : POINTS[i] - POINTS[j];
      }
      for (int power = 0; power < 3; power++) {
        transform[i][power] = Math.pow(POINTS[i], power) / scale;
      }
    }
    transform[PRODUCTS - 1][2] = 1;
    return transform;
  }
}
