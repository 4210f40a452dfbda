package org.unetrpp.backend.cpu;

import java.util.Arrays;

/**
 * Count, mean and sum of squared differences from the mean of each channel, in double; partial ones
 * merge by the formula of Chan et al. (1983), without cancellation.
 */
final class Moments {
  /** Tiles whose sums are kept lane by lane, in float, before they go to double. */
  private static final int TILES = 16;

  private final double[] mean;
  private final double[] squares;
  private long count;

  Moments(int channels) {
    this(0, new double[channels], new double[channels]);
  }

  /**
   * Of {@code count} values of each channel.
   *
   * @param mean of each channel
   * @param squares sum of squared differences from it; both arrays are kept
   */
  Moments(long count, double[] mean, double[] squares) {
    this.count = count;
    this.mean = mean;
    this.squares = squares;
  }

  /** Of {@code rows} rows of channels-last values from element {@code first} on. */
  static Moments ofRows(Values x, long first, long rows, int channels, Worker worker) {
    Moments all = new Moments(channels);
    long elements = rows * channels;
    long step = (long) Loops.tile(channels) * TILES;
    for (long done = 0; done < elements; done += step) {
      int count = (int) Math.min(step, elements - done);
      all.merge(ofTiles(x, first + done, count, channels, worker));
    }
    return all;
  }

  /** Of values that stay in the cache from the first pass over them to the second. */
  private static Moments ofTiles(Values x, long first, int count, int channels, Worker worker) {
    int lanes = Math.min(count, Loops.tile(channels));
    float[] values = worker.array(0, lanes);
    float[] sums = worker.array(1, lanes);
    Moments moments = new Moments(channels);
    moments.count = count / channels;
    Arrays.fill(sums, 0, lanes, 0);
    for (int done = 0; done < count; done += lanes) {
      int length = Math.min(lanes, count - done);
      x.read(first + done, values, length);
      Loops.add(sums, values, length);
    }
    addLanes(sums, lanes, moments.mean);
    float[] mean = new float[channels];
    for (int channel = 0; channel < channels; channel++) {
      moments.mean[channel] /= moments.count;
      mean[channel] = (float) moments.mean[channel];
    }
    float[] means = worker.array(2, lanes);
    Loops.repeat(mean, means, lanes);
    Arrays.fill(sums, 0, lanes, 0);
    for (int done = 0; done < count; done += lanes) {
      int length = Math.min(lanes, count - done);
      x.read(first + done, values, length);
      Loops.addSquares(values, means, sums, length);
    }
    addLanes(sums, lanes, moments.squares);
    return moments;
  }

  /** Adds values that follow each other channel by channel, over and over, to their channels. */
  static void addLanes(float[] lanes, int count, double[] channels) {
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

  int channels() {
    return mean.length;
  }

  /** Values of each channel. */
  long count() {
    return count;
  }

  double mean(int channel) {
    return mean[channel];
  }

  /** Biased variance. */
  double variance(int channel) {
    return squares[channel] / count;
  }
}
