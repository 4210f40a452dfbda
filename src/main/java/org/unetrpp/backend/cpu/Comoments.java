package org.unetrpp.backend.cpu;

import org.unetrpp.backend.cpu.OneDnn.Operand;

/**
 * Mean and covariance of the channels of a tensor, in double, merged like {@link Moments}. They
 * give the mean and the variance of any linear combination of the channels without computing it.
 */
final class Comoments {
  /** Tiles that are centered on one mean; they stay in the cache for that. */
  private static final int TILES = 16;

  private final int channels;
  private final double[] mean;
  private final double[] products;
  private long count;

  Comoments(int channels) {
    this.channels = channels;
    mean = new double[channels];
    products = new double[channels * channels];
  }

  /** Of {@code rows} rows of channels-last values from element {@code first} on. */
  static Comoments ofRows(
      OneDnn oneDnn, Values x, long first, long rows, int channels, Worker worker) {
    Comoments all = new Comoments(channels);
    long elements = rows * channels;
    long step = (long) Loops.tile(channels) * TILES;
    for (long done = 0; done < elements; done += step) {
      int count = (int) Math.min(step, elements - done);
      all.merge(ofTiles(oneDnn, x, first + done, count, channels, worker));
    }
    return all;
  }

  private static Comoments ofTiles(
      OneDnn oneDnn, Values x, long first, int count, int channels, Worker worker) {
    Comoments comoments = new Comoments(channels);
    comoments.count = count / channels;
    Moments moments = Moments.ofRows(x, first, comoments.count, channels, worker);
    float[] mean = new float[channels];
    for (int channel = 0; channel < channels; channel++) {
      comoments.mean[channel] = moments.mean(channel);
      mean[channel] = (float) comoments.mean[channel];
    }
    int tile = Math.min(count, Loops.tile(channels));
    float[] values = worker.array(0, tile);
    float[] means = worker.array(1, tile);
    Loops.repeat(mean, means, tile);
    long scratch = worker.scratch(tile + (long) channels * channels);
    Values centered = Values.at(scratch, tile);
    Values result = Values.at(scratch + (long) tile * Float.BYTES, (long) channels * channels);
    for (int done = 0; done < count; done += tile) {
      int length = Math.min(tile, count - done);
      x.read(first + done, values, length);
      Loops.subtract(values, means, length);
      centered.write(0, values, length);
      oneDnn.sgemm(
          channels,
          channels,
          length / channels,
          Operand.transposed(scratch, channels),
          Operand.plain(scratch, channels),
          result.segment().address(),
          channels,
          false);
      float[] sums = result.toArray();
      for (int i = 0; i < sums.length; i++) {
        comoments.products[i] += sums[i];
      }
    }
    return comoments;
  }

  /** Takes in the comoments of other values. */
  void merge(Comoments other) {
    if (other.count == 0) {
      return;
    }
    double total = (double) count + other.count;
    double weight = count * (other.count / total);
    for (int row = 0; row < channels; row++) {
      double rowDifference = other.mean[row] - mean[row];
      for (int column = 0; column < channels; column++) {
        products[row * channels + column] +=
            other.products[row * channels + column]
                + rowDifference * (other.mean[column] - mean[column]) * weight;
      }
    }
    for (int channel = 0; channel < channels; channel++) {
      mean[channel] += (other.mean[channel] - mean[channel]) * (other.count / total);
    }
    count += other.count;
  }

  /** Rows that they are of. */
  long count() {
    return count;
  }

  double mean(int channel) {
    return mean[channel];
  }

  /** What a row of weights gives with the sums of products of differences from the means. */
  double product(double[] weights, int first, int channel) {
    double sum = 0;
    for (int other = 0; other < channels; other++) {
      sum += weights[first + other] * products[other * channels + channel];
    }
    return sum;
  }

  /** Mean of the combination that {@code weights} give from element {@code first} on. */
  double mean(double[] weights, int first) {
    double sum = 0;
    for (int channel = 0; channel < channels; channel++) {
      sum += weights[first + channel] * mean[channel];
    }
    return sum;
  }

  /** Biased variance of the combination that {@code weights} give from {@code first} on. */
  double variance(double[] weights, int first) {
    double sum = 0;
    for (int row = 0; row < channels; row++) {
      for (int column = 0; column < channels; column++) {
        sum += weights[first + row] * weights[first + column] * products[row * channels + column];
      }
    }
    return Math.max(sum, 0) / count;
  }
}
