package org.unetrpp.backend.cpu;

import java.util.Arrays;

/**
 * What the gradient of a normalization needs of each channel, in double: the moments of its input
 * x, the sum of the gradient dy, and the sum of {@code dy (x - mean)}. Partial ones merge.
 */
final class GradientMoments {
  /** Values of a tile; seven arrays of them stay in the first-level cache. */
  private static final int TILE = 1024;

  /** Tiles whose sums are kept lane by lane, in float, before they go to double. */
  private static final int TILES = 16;

  private final int channels;
  private final Moments input;
  private final double[] sums;
  private final double[] products;

  GradientMoments(int channels) {
    this(new Moments(channels), new double[channels], new double[channels]);
  }

  /**
   * From known ones.
   *
   * @param sums of the gradient
   * @param products of the gradient and what the input differs from its mean
   */
  GradientMoments(Moments input, double[] sums, double[] products) {
    this.input = input;
    this.sums = sums;
    this.products = products;
    channels = sums.length;
  }

  /** Of {@code rows} rows of channels-last values from element {@code first} on. */
  static GradientMoments ofRows(
      Values dy, Values x, long first, long rows, int channels, Worker worker) {
    GradientMoments all = new GradientMoments(channels);
    long elements = rows * channels;
    int lanes = channels * Math.max(1, TILE / channels);
    long step = (long) lanes * TILES;
    for (long done = 0; done < elements; done += step) {
      int count = (int) Math.min(step, elements - done);
      all.merge(ofTiles(dy, x, first + done, count, channels, Math.min(lanes, count), worker));
    }
    return all;
  }

  /**
   * In one pass, around the mean of the first tile: that is a part of the values, so their variance
   * is at least some percent of its squared distance from their mean, and subtracting that costs
   * few digits.
   */
  private static GradientMoments ofTiles(
      Values dy, Values x, long first, int count, int channels, int lanes, Worker worker) {
    float[] input = worker.array(0, lanes);
    float[] gradient = worker.array(1, lanes);
    float[] center = centers(x, first, lanes, channels, worker);
    float[] centers = worker.array(2, lanes);
    Loops.repeat(center, centers, lanes);
    float[] differences = zeros(worker, 3, lanes);
    float[] squares = zeros(worker, 4, lanes);
    float[] gradients = zeros(worker, 5, lanes);
    float[] products = zeros(worker, 6, lanes);
    for (int done = 0; done < count; done += lanes) {
      int length = Math.min(lanes, count - done);
      x.read(first + done, input, length);
      dy.read(first + done, gradient, length);
      Loops.subtract(input, centers, length);
      Loops.addWithSquares(input, differences, squares, length);
      Loops.addWithProducts(input, gradient, gradients, products, length);
    }
    double[] mean = byChannel(differences, lanes, channels);
    double[] square = byChannel(squares, lanes, channels);
    double[] sums = byChannel(gradients, lanes, channels);
    double[] product = byChannel(products, lanes, channels);
    long rows = count / channels;
    for (int channel = 0; channel < channels; channel++) {
      double shift = mean[channel] / rows; // from the center to the mean
      mean[channel] = center[channel] + shift;
      square[channel] = Math.max(0, square[channel] - rows * shift * shift);
      product[channel] -= shift * sums[channel];
    }
    return new GradientMoments(new Moments(rows, mean, square), sums, product);
  }

  /** The mean of each channel over the first tile. */
  private static float[] centers(Values x, long first, int lanes, int channels, Worker worker) {
    float[] tile = worker.array(0, lanes);
    x.read(first, tile, lanes);
    double[] sums = byChannel(tile, lanes, channels);
    float[] centers = new float[channels];
    for (int channel = 0; channel < channels; channel++) {
      centers[channel] = (float) (sums[channel] * channels / lanes);
    }
    return centers;
  }

  private static float[] zeros(Worker worker, int slot, int lanes) {
    float[] array = worker.array(slot, lanes);
    Arrays.fill(array, 0, lanes, 0);
    return array;
  }

  private static double[] byChannel(float[] lanes, int count, int channels) {
    double[] sums = new double[channels];
    Moments.addLanes(lanes, count, sums);
    return sums;
  }

  /** Takes in those of other values. */
  void merge(GradientMoments other) {
    double[] before = new double[channels];
    for (int channel = 0; channel < channels; channel++) {
      before[channel] = input.mean(channel);
    }
    input.merge(other.input);
    for (int channel = 0; channel < channels; channel++) {
      double mean = input.mean(channel);
      products[channel] +=
          (before[channel] - mean) * sums[channel]
              + other.products[channel]
              + (other.input.mean(channel) - mean) * other.sums[channel];
      sums[channel] += other.sums[channel];
    }
  }

  /** Moments of the input. */
  Moments input() {
    return input;
  }

  /** Sum of the gradient. */
  double sum(int channel) {
    return sums[channel];
  }

  /** Sum of the gradient times what the input differs from {@code center}. */
  double product(int channel, double center) {
    return products[channel] + (input.mean(channel) - center) * sums[channel];
  }
}
