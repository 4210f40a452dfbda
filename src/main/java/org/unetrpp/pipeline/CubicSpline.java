package org.unetrpp.pipeline;

/**
 * The cubic B-spline through equally spaced samples: coefficients from samples by a causal and an
 * anticausal recursive filter, values from the four coefficients around (Unser et al. 1993).
 *
 * <p>Data are rows of lanes: {@code rows[i][lane]} is sample {@code i} of a line, and all lanes are
 * filtered alike.
 */
public final class CubicSpline {
  private static final double POLE = Math.sqrt(3) - 2;
  private static final double GAIN = (1 - POLE) * (1 - 1 / POLE);

  /** Terms of the starting sum that matter: {@code |POLE|^64} is below 1e-36. */
  private static final int STARTING_TERMS = 64;

  private CubicSpline() {}

  /**
   * The weights of the coefficients {@code i - 1} to {@code i + 2} at {@code i + t}.
   *
   * @param t from 0 to 1
   * @param weights four, overwritten
   */
  public static void weights(double t, double[] weights) {
    double s = 1 - t;
    weights[0] = s * s * s / 6;
    weights[1] = (4 + 3 * t * t * (t - 2)) / 6;
    weights[2] = (4 + 3 * s * s * (s - 2)) / 6;
    weights[3] = t * t * t / 6;
  }

  /**
   * Turns samples into coefficients, for lines mirrored about their first and last samples ({@code
   * scipy.ndimage.spline_filter} with mode "mirror").
   *
   * @param rows samples, overwritten; a single row stays as it is
   * @param lanes how many lanes of each row count
   */
  public static void mirroredCoefficients(double[][] rows, int lanes) {
    int last = rows.length - 1;
    if (last == 0) {
      return;
    }
    scaleAll(rows, lanes);
    startMirrored(rows, lanes);
    runCausal(rows, lanes);
    double end = POLE / (POLE * POLE - 1);
    scale(rows[last], end, lanes);
    AxisKernel.addScaled(rows[last], end * POLE, rows[last - 1], lanes);
    runAnticausal(rows, lanes);
  }

  /**
   * Turns samples into coefficients, for lines mirrored half a sample past their ends ({@code
   * scipy.ndimage.spline_filter} with mode "reflect").
   *
   * @param rows samples, overwritten
   * @param lanes how many lanes of each row count
   */
  public static void reflectedCoefficients(double[][] rows, int lanes) {
    scaleAll(rows, lanes);
    startReflected(rows, lanes);
    runCausal(rows, lanes);
    scale(rows[rows.length - 1], POLE / (POLE - 1), lanes);
    runAnticausal(rows, lanes);
  }

  private static void startMirrored(double[][] rows, int lanes) {
    int last = rows.length - 1;
    double wrapped = Math.pow(POLE, last);
    double[] sum = new double[lanes];
    AxisKernel.addScaled(sum, 1, rows[0], lanes);
    AxisKernel.addScaled(sum, wrapped, rows[last], lanes);
    double power = POLE;
    for (int row = 1; row < Math.min(last, STARTING_TERMS); row++) {
      AxisKernel.addScaled(sum, power, rows[row], lanes);
      AxisKernel.addScaled(sum, power * wrapped, rows[last - row], lanes);
      power *= POLE;
    }
    System.arraycopy(sum, 0, rows[0], 0, lanes);
    scale(rows[0], 1 / (1 - wrapped * wrapped), lanes);
  }

  private static void startReflected(double[][] rows, int lanes) {
    int count = rows.length;
    double wrapped = Math.pow(POLE, count);
    double[] sum = new double[lanes];
    double power = 1;
    for (int row = 0; row < Math.min(count, STARTING_TERMS); row++) {
      AxisKernel.addScaled(sum, power, rows[row], lanes);
      AxisKernel.addScaled(sum, power * wrapped, rows[count - 1 - row], lanes);
      power *= POLE;
    }
    AxisKernel.addScaled(rows[0], POLE / (1 - wrapped * wrapped), sum, lanes);
  }

  private static void runCausal(double[][] rows, int lanes) {
    for (int row = 1; row < rows.length; row++) {
      AxisKernel.addScaled(rows[row], POLE, rows[row - 1], lanes);
    }
  }

  private static void runAnticausal(double[][] rows, int lanes) {
    for (int row = rows.length - 2; row >= 0; row--) {
      subtractFromAndScale(rows[row], rows[row + 1], lanes);
    }
  }

  private static void scaleAll(double[][] rows, int lanes) {
    for (double[] row : rows) {
      scale(row, GAIN, lanes);
    }
  }

  private static void scale(double[] target, double factor, int lanes) {
    for (int lane = 0; lane < lanes; lane++) {
      target[lane] *= factor;
    }
  }

  /** {@code target = POLE * (source - target)}. */
  private static void subtractFromAndScale(double[] target, double[] source, int lanes) {
    for (int lane = 0; lane < lanes; lane++) {
      target[lane] = POLE * (source[lane] - target[lane]);
    }
  }
}
