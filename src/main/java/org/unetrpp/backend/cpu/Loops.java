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

  /** {@code x -= mean}. */
  static void subtract(float[] x, float[] mean, int count) {
    for (int i = 0; i < count; i++) {
      x[i] -= mean[i];
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

  /** Length of the tile that holds whole rows of {@code channels} values. */
  static int tile(int channels) {
    return channels * Math.max(1, Worker.TILE / channels);
  }
}
