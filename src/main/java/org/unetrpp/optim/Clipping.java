package org.unetrpp.optim;

/**
 * Shortening of gradients.
 *
 * @param norm their Euclidean norm
 * @param scale what they are multiplied with: {@code min(1, longest / (norm + 1e-6))}
 */
record Clipping(double norm, double scale) {
  private static final double EPSILON = 1e-6;

  static Clipping of(double sumOfSquares, double longest) {
    double norm = Math.sqrt(sumOfSquares);
    return new Clipping(norm, Math.min(1, longest / (norm + EPSILON)));
  }
}
