package org.unetrpp.backend.cpu;

/**
 * Flat loops over arrays, each simple enough for the compiler to turn into vector instructions: all
 * arrays are read and written at the same index. Values that differ by channel come repeated to the
 * length of the tile.
 */
final class Loops {
  private Loops() {}

  /** {@code x += y}. */
  static void add(float[] x, float[] y, int count) {
    for (int i = 0; i < count; i++) {
      x[i] += y[i];
    }
  }

  /** {@code x += scale y}. */
  static void addScaled(float[] x, float[] scale, float[] y, int count) {
    for (int i = 0; i < count; i++) {
      x[i] += scale[i] * y[i];
    }
  }

  /** {@code x *= scale}. */
  static void scale(float[] x, float[] scale, int count) {
    for (int i = 0; i < count; i++) {
      x[i] *= scale[i];
    }
  }

  /** {@code x = (x - mean) scale + shift}. */
  static void normalize(float[] x, float[] mean, float[] scale, float[] shift, int count) {
    for (int i = 0; i < count; i++) {
      x[i] = (x[i] - mean[i]) * scale[i] + shift[i];
    }
  }

  /** LeakyReLU for slopes up to 1. */
  static void leakyRelu(float[] x, float slope, int count) {
    for (int i = 0; i < count; i++) {
      x[i] = Math.max(x[i], x[i] * slope);
    }
  }

  /** LeakyReLU of {@code (x - mean) scale + shift}. */
  static void normalizeLeaky(
      float[] x, float[] mean, float[] scale, float[] shift, float slope, int count) {
    for (int i = 0; i < count; i++) {
      float value = (x[i] - mean[i]) * scale[i] + shift[i];
      x[i] = Math.max(value, value * slope);
    }
  }

  /** LeakyReLU of {@code (x - mean) scale + shift + residual}. */
  static void normalizeAddLeaky(
      float[] x,
      float[] mean,
      float[] scale,
      float[] shift,
      float[] residual,
      float slope,
      int count) {
    for (int i = 0; i < count; i++) {
      float value = (x[i] - mean[i]) * scale[i] + shift[i] + residual[i];
      x[i] = Math.max(value, value * slope);
    }
  }

  /** {@code sum += (x - mean)^2}. */
  static void addSquares(float[] x, float[] mean, float[] sum, int count) {
    for (int i = 0; i < count; i++) {
      float difference = x[i] - mean[i];
      sum[i] += difference * difference;
    }
  }

  /** {@code sum += x^2}. */
  static void addSquares(float[] x, float[] sum, int count) {
    for (int i = 0; i < count; i++) {
      sum[i] += x[i] * x[i];
    }
  }

  /** {@code sum += x; squares += x^2}. */
  static void addWithSquares(float[] x, float[] sum, float[] squares, int count) {
    for (int i = 0; i < count; i++) {
      sum[i] += x[i];
      squares[i] += x[i] * x[i];
    }
  }

  /** {@code sum += y; products += x y}. */
  static void addWithProducts(float[] x, float[] y, float[] sum, float[] products, int count) {
    for (int i = 0; i < count; i++) {
      sum[i] += y[i];
      products[i] += x[i] * y[i];
    }
  }

  /** {@code sum += y; products += (x - mean) y}. */
  static void addWithCenteredProducts(
      float[] x, float[] mean, float[] y, float[] sum, float[] products, int count) {
    for (int i = 0; i < count; i++) {
      sum[i] += y[i];
      products[i] += (x[i] - mean[i]) * y[i];
    }
  }

  /** {@code sum += x y}. */
  static void addProducts(float[] x, float[] y, double[] sum, int count) {
    for (int i = 0; i < count; i++) {
      sum[i] += (double) x[i] * y[i];
    }
  }

  /** {@code dy = dy scale - ((x - mean) slope + shift)}. */
  static void normalizeGradient(
      float[] dy, float[] x, float[] mean, float[] scale, float[] slope, float[] shift, int count) {
    for (int i = 0; i < count; i++) {
      dy[i] = dy[i] * scale[i] - ((x[i] - mean[i]) * slope[i] + shift[i]);
    }
  }

  /**
   * Multiplies {@code dy} with {@code slope} where {@code y} is not above 0. Products that run out
   * of range stand in for a comparison, which would not be compiled to vector instructions.
   *
   * @param slope above 0, at most 1
   */
  static void leakyReluGradient(float[] dy, float[] y, float slope, int count) {
    for (int i = 0; i < count; i++) {
      float large = y[i] * Float.MAX_VALUE * Float.MAX_VALUE;
      dy[i] *= Math.min(Math.max(large, slope), 1);
    }
  }

  /** {@code x[i] *= factor} for i from {@code from} to before {@code to}. */
  static void scale(float[] x, float factor, int from, int to) {
    for (int i = from; i < to; i++) {
      x[i] *= factor;
    }
  }

  /** {@code y = dy - y product}. */
  static void project(float[] y, float[] dy, float[] product, int count) {
    for (int i = 0; i < count; i++) {
      y[i] = dy[i] - y[i] * product[i];
    }
  }

  /** {@code largest = max(largest, x)}. */
  static void takeLarger(float[] largest, float[] x, int count) {
    for (int i = 0; i < count; i++) {
      largest[i] = Math.max(largest[i], x[i]);
    }
  }

  /** {@code sum += factor x}. */
  static void addScaled(float[] sum, float factor, float[] x, int count) {
    for (int i = 0; i < count; i++) {
      sum[i] += factor * x[i];
    }
  }

  /** {@code x *= factor - y}. */
  static void scaleByDifference(float[] x, float factor, float[] y, int count) {
    for (int i = 0; i < count; i++) {
      x[i] *= factor - y[i];
    }
  }

  /** The sum of the values from {@code from} to before {@code to}. */
  static double sum(float[] x, int from, int to) {
    double sum0 = 0; // four sums, so that an addition need not wait for the one before
    double sum1 = 0;
    double sum2 = 0;
    double sum3 = 0;
    int i = from;
    for (; i + 3 < to; i += 4) {
      sum0 += x[i];
      sum1 += x[i + 1];
      sum2 += x[i + 2];
      sum3 += x[i + 3];
    }
    for (; i < to; i++) {
      sum0 += x[i];
    }
    return (sum0 + sum1) + (sum2 + sum3);
  }

  /** {@code x -= mean}. */
  static void subtract(float[] x, float[] mean, int count) {
    for (int i = 0; i < count; i++) {
      x[i] -= mean[i];
    }
  }

  /** {@code sum = x}. */
  static void set(double[] sum, float[] x, int count) {
    for (int i = 0; i < count; i++) {
      sum[i] = x[i];
    }
  }

  /** {@code sum += x}. */
  static void add(double[] sum, float[] x, int count) {
    for (int i = 0; i < count; i++) {
      sum[i] += x[i];
    }
  }

  /** {@code x = sum}, rounded. */
  static void round(double[] sum, float[] x, int count) {
    for (int i = 0; i < count; i++) {
      x[i] = (float) sum[i];
    }
  }

  /** {@code values} over and over. */
  static float[] repeated(float[] values, int length) {
    float[] pattern = new float[length];
    repeat(values, pattern, length);
    return pattern;
  }

  /** Fills {@code pattern} with {@code values} over and over. */
  static void repeat(float[] values, float[] pattern, int length) {
    for (int first = 0; first < length; first += values.length) {
      System.arraycopy(values, 0, pattern, first, Math.min(values.length, length - first));
    }
  }

  /** Repeats the first {@code count} values of {@code pattern} up to {@code length}. */
  static void repeatFirst(int count, float[] pattern, int length) {
    for (int first = count; first < length; first += count) {
      System.arraycopy(pattern, 0, pattern, first, Math.min(count, length - first));
    }
  }

  /** Length of the tile that holds whole rows of {@code channels} values. */
  static int tile(int channels) {
    return channels * Math.max(1, Worker.TILE / channels);
  }
}
