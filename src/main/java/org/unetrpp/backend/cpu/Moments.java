package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

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

  /** For what is taken in next; made when it is needed. */
  private @Nullable Moments part;

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
    all.addRows(x, first, rows, worker);
    return all;
  }

  /** Forgets all values. */
  void clear() {
    count = 0;
    Arrays.fill(mean, 0);
    Arrays.fill(squares, 0);
  }

  /**
   * Takes in {@code rows} rows of channels-last values from element {@code first} on; makes objects
   * the first time only.
   */
  void addRows(Values x, long first, long rows, Worker worker) {
    Moments part = part();
    int channels = channels();
    long elements = rows * channels;
    long step = (long) Loops.tile(channels) * TILES;
    for (long done = 0; done < elements; done += step) {
      part.clear();
      part.addTiles(x, first + done, (int) Math.min(step, elements - done), worker);
      merge(part);
    }
  }

  private Moments part() {
    if (part == null) {
      part = new Moments(channels());
    }
    return part;
  }

  /** Takes in values that stay in the cache from the first pass over them to the second. */
  private void addTiles(Values x, long first, int values, Worker worker) {
    int channels = channels();
    int lanes = Math.min(values, Loops.tile(channels));
    float[] tile = worker.array(0, lanes);
    float[] sums = worker.array(1, lanes);
    count = values / channels;
    Arrays.fill(sums, 0, lanes, 0);
    for (int done = 0; done < values; done += lanes) {
      int length = Math.min(lanes, values - done);
      x.read(first + done, tile, length);
      Loops.add(sums, tile, length);
    }
    addLanes(sums, lanes, mean);
    float[] means = worker.array(2, lanes);
    for (int channel = 0; channel < channels; channel++) {
      mean[channel] /= count;
      means[channel] = (float) mean[channel];
    }
    Loops.repeatFirst(channels, means, lanes);
    Arrays.fill(sums, 0, lanes, 0);
    for (int done = 0; done < values; done += lanes) {
      int length = Math.min(lanes, values - done);
      x.read(first + done, tile, length);
      Loops.addSquares(tile, means, sums, length);
    }
    addLanes(sums, lanes, squares);
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
    for (int channel = 0; channel < mean.length; channel++) {
      merge(channel, other.count, other.mean[channel], other.squares[channel]);
    }
    count += other.count;
  }

  /** Takes other values into one channel, whose count stays for now. */
  private void merge(int channel, long otherCount, double otherMean, double otherSquares) {
    double share = otherCount / ((double) count + otherCount);
    double difference = otherMean - mean[channel];
    mean[channel] += difference * share;
    squares[channel] += otherSquares + difference * difference * (count * share);
  }

  /** The same for groups of neighboring channels, given to each channel of the group. */
  Moments byGroup(int groups) {
    Moments grouped = new Moments(mean.length);
    grouped.set(this, groups);
    return grouped;
  }

  /** Becomes those of groups of neighboring channels of {@code of}, given to each of the group. */
  void set(Moments of, int groups) {
    int size = mean.length / groups;
    Moments sum = part();
    for (int group = 0; group < groups; group++) {
      int first = group * size;
      sum.clear();
      for (int channel = first; channel < first + size; channel++) {
        sum.merge(0, of.count, of.mean[channel], of.squares[channel]);
        sum.count += of.count;
      }
      Arrays.fill(mean, first, first + size, sum.mean[0]);
      Arrays.fill(squares, first, first + size, sum.squares[0]);
    }
    count = of.count * size;
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
