package org.unetrpp.pipeline;

import java.util.Arrays;
import org.unetrpp.window.AxisTaps;

/**
 * Resamples one axis: every output is a weighted sum of a few samples, or of the coefficients of
 * the cubic B-spline through them.
 *
 * <p>Output {@code i} of {@code to} lies at {@code u = s (i + 1/2) - 1/2}, {@code s = from / to},
 * in units of the inputs; inputs past an end count as the end ("edge"). The B-spline's coefficients
 * are those of {@code scipy.ndimage.spline_filter} with mode "reflect" on the line with 12 copies
 * of its ends on either side.
 *
 * <p>Data are rows of lanes: {@code rows[i][lane]} is sample {@code i} of a line, and all lanes are
 * resampled alike.
 */
final class AxisKernel {
  /** Copies of each end that the B-spline's line gets before it is filtered. */
  static final int PADDING = 12;

  private final int from;
  private final int to;
  private final boolean spline;
  private final int taps;
  private final int[] index;
  private final double[] weight;

  private AxisKernel(int from, int to, boolean spline, int taps) {
    this.from = from;
    this.to = to;
    this.spline = spline;
    this.taps = taps;
    this.index = new int[to * taps];
    this.weight = new double[to * taps];
  }

  /** Leaves an axis as it is. */
  static AxisKernel identity(int length) {
    return nearest(length, length);
  }

  /** The sample at {@code floor(u + 1/2)}. */
  static AxisKernel nearest(int from, int to) {
    AxisKernel kernel = new AxisKernel(from, to, false, 1);
    for (int output = 0; output < to; output++) {
      int nearest = (int) Math.floor(kernel.position(output) + 0.5);
      kernel.index[output] = Math.clamp(nearest, 0, from - 1);
      kernel.weight[output] = 1;
    }
    return kernel;
  }

  /** Linear between the two samples around. */
  static AxisKernel linear(int from, int to) {
    return of(new AxisKernel(from, to, false, 2), 0, t -> new double[] {1 - t, t});
  }

  /** Cubic convolution of four samples with a = -1/2 (Keys 1981). */
  static AxisKernel catmullRom(int from, int to) {
    return of(
        new AxisKernel(from, to, false, 4),
        -1,
        t ->
            new double[] {
              0.5 * t * (-1 + t * (2 - t)),
              1 + 0.5 * t * t * (-5 + 3 * t),
              0.5 * t * (1 + t * (4 - 3 * t)),
              0.5 * t * t * (t - 1)
            });
  }

  /** The cubic B-spline through the samples. */
  static AxisKernel bSpline(int from, int to) {
    return of(
        new AxisKernel(from, to, true, 4),
        -1,
        t -> {
          double[] weights = new double[4];
          CubicSpline.weights(t, weights);
          return weights;
        });
  }

  private static AxisKernel of(AxisKernel kernel, int firstTap, Weights weights) {
    int shift = kernel.spline ? PADDING : 0;
    for (int output = 0; output < kernel.to; output++) {
      double position = kernel.position(output);
      int base = (int) Math.floor(position);
      double[] taps = weights.at(position - base);
      for (int tap = 0; tap < taps.length; tap++) {
        kernel.index[output * taps.length + tap] =
            Math.clamp(base + firstTap + tap + shift, 0, kernel.rows() - 1);
        kernel.weight[output * taps.length + tap] = taps[tap];
      }
    }
    return kernel;
  }

  private double position(int output) {
    double scale = (double) from / to;
    return scale * (output + 0.5) - 0.5;
  }

  /** Whether the axis stays as it is. */
  boolean isIdentity() {
    return from == to && taps == 1;
  }

  /** Whether the weights are for coefficients, which {@link #coefficients} computes. */
  boolean isSpline() {
    return spline;
  }

  /** What it does, in words. */
  String description() {
    if (isIdentity()) {
      return "kept";
    }
    return switch (taps) {
      case 1 -> "nearest";
      case 2 -> "linear";
      default -> spline ? "cubic B-spline" : "cubic convolution";
    };
  }

  /** How many samples or coefficients the indices count. */
  int rows() {
    return spline ? from + 2 * PADDING : from;
  }

  int from() {
    return from;
  }

  int to() {
    return to;
  }

  /** How many weights each output has. */
  int taps() {
    return taps;
  }

  /** Which sample or coefficient a weight of an output is for. */
  int index(int output, int tap) {
    return index[output * taps + tap];
  }

  /** A weight of an output. */
  double weight(int output, int tap) {
    return weight[output * taps + tap];
  }

  /** The lowest sample that an output needs. */
  int firstTap(int output) {
    return index(output, 0);
  }

  /** The highest sample that an output needs; it never falls from one output to the next. */
  int lastTap(int output) {
    return index(output, taps - 1);
  }

  /**
   * The indices and weights of all outputs; not of a spline, whose weights are for coefficients.
   *
   * @param axis of the volume that the samples come from
   * @param first index of the first sample there
   */
  AxisTaps taps(int axis, int first) {
    int[] indices = new int[index.length];
    Arrays.setAll(indices, entry -> first + index[entry]);
    return new AxisTaps(axis, taps, indices, weight.clone());
  }

  /**
   * The part that makes the outputs {@code first} to {@code end - 1}; its samples are those from
   * {@link #firstTap} of the first to {@link #lastTap} of the last. Not of a spline, whose outputs
   * need all samples.
   */
  AxisKernel part(int first, int end) {
    if (spline || first < 0 || first >= end || end > to) {
      throw new IllegalArgumentException(
          "outputs %d to %d, expected some of %d and no spline".formatted(first, end, to));
    }
    int lowest = firstTap(first);
    AxisKernel part = new AxisKernel(lastTap(end - 1) + 1 - lowest, end - first, false, taps);
    for (int entry = 0; entry < part.index.length; entry++) {
      part.index[entry] = index[first * taps + entry] - lowest;
      part.weight[entry] = weight[first * taps + entry];
    }
    return part;
  }

  /**
   * Resamples.
   *
   * @param samples {@code from} rows
   * @param result {@code to} rows, overwritten
   * @param padded {@link #rows} rows of scratch where this is a spline, else unused
   * @param lanes how many lanes of each row count
   */
  void apply(double[][] samples, double[][] result, double[][] padded, int lanes) {
    double[][] rows = samples;
    if (spline) {
      for (int row = 0; row < from; row++) {
        System.arraycopy(samples[row], 0, padded[row + PADDING], 0, lanes);
      }
      coefficients(padded, lanes);
      rows = padded;
    }
    for (int output = 0; output < to; output++) {
      Arrays.fill(result[output], 0, lanes, 0);
      for (int tap = 0; tap < taps; tap++) {
        addScaled(result[output], weight(output, tap), rows[index(output, tap)], lanes);
      }
    }
  }

  /**
   * Turns samples into coefficients.
   *
   * @param padded {@link #rows} rows with the samples from row {@link #PADDING} on; the others and
   *     then all are overwritten
   * @param lanes how many lanes of each row count
   */
  void coefficients(double[][] padded, int lanes) {
    int last = rows() - 1;
    for (int row = 0; row < PADDING; row++) {
      System.arraycopy(padded[PADDING], 0, padded[row], 0, lanes);
      System.arraycopy(padded[last - PADDING], 0, padded[last - row], 0, lanes);
    }
    CubicSpline.reflectedCoefficients(padded, lanes);
  }

  /** {@code target += factor * source}. */
  static void addScaled(double[] target, double factor, double[] source, int lanes) {
    for (int lane = 0; lane < lanes; lane++) {
      target[lane] += factor * source[lane];
    }
  }

  /** Weights of neighboring samples at a fraction from 0 to 1 of the way between two of them. */
  private interface Weights {
    double[] at(double t);
  }
}
