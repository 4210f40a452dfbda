package org.unetrpp.backend.cpu;

import org.unetrpp.backend.cpu.OneDnn.Operand;

/**
 * Mean and covariance of the channels of a tensor, in double, merged like {@link Moments}. They
 * give the mean and the variance of any linear combination of the channels without computing it.
 */
final class Comoments {
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
    int tile = Loops.tile(channels);
    Comoments all = new Comoments(channels);
    long scratch = worker.scratch(tile + (long) channels * channels);
    Values centered = Values.at(scratch, tile);
    Values result = Values.at(scratch + (long) tile * Float.BYTES, (long) channels * channels);
    long elements = rows * channels;
    for (long done = 0; done < elements; done += tile) {
      int length = (int) Math.min(tile, elements - done);
      all.merge(ofTile(oneDnn, x, first + done, length, centered, result, channels, worker));
    }
    return all;
  }

  private static Comoments ofTile(
      OneDnn oneDnn,
      Values x,
      long first,
      int length,
      Values centered,
      Values result,
      int channels,
      Worker worker) {
    Comoments tile = new Comoments(channels);
    tile.count = length / channels;
    Moments moments = Moments.ofRows(x, first, tile.count, channels, worker);
    float[] means = new float[channels];
    for (int channel = 0; channel < channels; channel++) {
      tile.mean[channel] = moments.mean(channel);
      means[channel] = (float) tile.mean[channel];
    }
    float[] values = worker.array(0, length);
    x.read(first, values, length);
    Loops.subtract(values, Loops.repeated(means, length), length);
    centered.write(0, values, length);
    long address = centered.segment().address();
    oneDnn.sgemm(
        channels,
        channels,
        (int) tile.count,
        Operand.transposed(address, channels),
        Operand.plain(address, channels),
        result.segment().address(),
        channels,
        false);
    double[] sums = result.toDoubles();
    System.arraycopy(sums, 0, tile.products, 0, sums.length);
    return tile;
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
