package org.unetrpp.backend.cpu;

import java.util.Arrays;

/**
 * Count, mean and sum of squared differences from the mean of each channel, in double; partial ones
 * merge by the formula of Chan et al. (1983), without cancellation.
 */
final class Moments {
  /** Values that are summed side by side, so that float sums stay short. */
  private static final int LANES = 256;

  /** Sums of one lane; more rounding against fewer mergers. */
  private static final int ROWS_OF_LANES = 64;

  private final double[] mean;
  private final double[] squares;
  private long count;

  Moments(int channels) {
    mean = new double[channels];
    squares = new double[channels];
  }

  /** Of {@code rows} rows of channels-last values from element {@code first} on. */
  static Moments ofRows(Values x, long first, long rows, int channels, Worker worker) {
    int lanes = channels * Math.max(1, LANES / channels);
    int tile = lanes * ROWS_OF_LANES;
    float[] values = worker.array(0, tile);
    float[] sums = worker.array(1, lanes);
    float[] means = worker.array(2, lanes);
    Moments all = new Moments(channels);
    long elements = rows * channels;
    for (long done = 0; done < elements; done += tile) {
      int length = (int) Math.min(tile, elements - done);
      x.read(first + done, values, length);
      all.merge(ofTile(values, length, sums, means, lanes, channels));
    }
    return all;
  }

  private static Moments ofTile(
      float[] values, int length, float[] sums, float[] means, int lanes, int channels) {
    Moments tile = new Moments(channels);
    tile.count = length / channels;
    Arrays.fill(sums, 0, lanes, 0);
    for (int first = 0; first < length; first += lanes) {
      Loops.sum(values, first, sums, Math.min(lanes, length - first));
    }
    addLanes(sums, lanes, tile.mean);
    for (int channel = 0; channel < channels; channel++) {
      tile.mean[channel] /= tile.count;
      means[channel] = (float) tile.mean[channel];
    }
    for (int lane = channels; lane < lanes; lane++) {
      means[lane] = means[lane - channels];
    }
    Arrays.fill(sums, 0, lanes, 0);
    for (int first = 0; first < length; first += lanes) {
      Loops.sumSquares(values, first, means, sums, Math.min(lanes, length - first));
    }
    addLanes(sums, lanes, tile.squares);
    return tile;
  }

  private static void addLanes(float[] lanes, int count, double[] channels) {
    for (int first = 0; first < count; first += channels.length) {
      for (int channel = 0; channel < channels.length; channel++) {
        channels[channel] += lanes[first + channel];
      }
    }
  }

  /** Takes in the moments of other values. */
  void merge(Moments other) {
    if (other.count == 0) {
      return;
    }
    double total = (double) count + other.count;
    for (int channel = 0; channel < mean.length; channel++) {
      double difference = other.mean[channel] - mean[channel];
      mean[channel] += difference * (other.count / total);
      squares[channel] +=
          other.squares[channel] + difference * difference * (count * (other.count / total));
    }
    count += other.count;
  }

  /** The same for groups of neighboring channels, given to each channel of the group. */
  Moments byGroup(int groups) {
    int size = mean.length / groups;
    Moments grouped = new Moments(mean.length);
    grouped.count = count * size;
    for (int group = 0; group < groups; group++) {
      Moments sum = new Moments(1);
      for (int channel = group * size; channel < (group + 1) * size; channel++) {
        Moments one = new Moments(1);
        one.count = count;
        one.mean[0] = mean[channel];
        one.squares[0] = squares[channel];
        sum.merge(one);
      }
      Arrays.fill(grouped.mean, group * size, (group + 1) * size, sum.mean[0]);
      Arrays.fill(grouped.squares, group * size, (group + 1) * size, sum.squares[0]);
    }
    return grouped;
  }

  double mean(int channel) {
    return mean[channel];
  }

  /** Biased variance. */
  double variance(int channel) {
    return squares[channel] / count;
  }
}
