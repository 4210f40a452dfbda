package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.HostMemory;

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

  /** For what is taken in next; made when it is needed. */
  private @Nullable Part part;

  Comoments(int channels) {
    this.channels = channels;
    mean = new double[channels];
    products = new double[channels * channels];
  }

  /** Of {@code rows} rows of channels-last values from element {@code first} on. */
  static Comoments ofRows(
      OneDnn oneDnn, Values x, long first, long rows, int channels, Worker worker) {
    Comoments all = new Comoments(channels);
    all.addRows(oneDnn, x, first, rows, worker);
    return all;
  }

  /** Forgets all values. */
  void clear() {
    count = 0;
    Arrays.fill(mean, 0);
    Arrays.fill(products, 0);
  }

  /**
   * Takes in {@code rows} rows of channels-last values from element {@code first} on; makes objects
   * the first time only.
   */
  void addRows(OneDnn oneDnn, Values x, long first, long rows, Worker worker) {
    if (part == null) {
      part = new Part(channels);
    }
    long elements = rows * channels;
    long step = (long) Loops.tile(channels) * TILES;
    for (long done = 0; done < elements; done += step) {
      merge(part.of(oneDnn, x, first + done, (int) Math.min(step, elements - done), worker));
    }
  }

  /** Of values that stay in the cache while they are read several times. */
  private static final class Part {
    private final Comoments comoments;
    private final Moments moments;
    private final float[] sums;

    Part(int channels) {
      comoments = new Comoments(channels);
      moments = new Moments(channels);
      sums = new float[channels * channels];
    }

    Comoments of(OneDnn oneDnn, Values x, long first, int count, Worker worker) {
      int channels = comoments.channels;
      comoments.clear();
      comoments.count = count / channels;
      moments.clear();
      moments.addRows(x, first, comoments.count, worker);
      int tile = Math.min(count, Loops.tile(channels));
      float[] values = worker.array(0, tile);
      float[] means = worker.array(1, tile);
      for (int channel = 0; channel < channels; channel++) {
        comoments.mean[channel] = moments.mean(channel);
        means[channel] = (float) comoments.mean[channel];
      }
      Loops.repeatFirst(channels, means, tile);
      long centered = worker.scratch(tile + (long) sums.length);
      long result = centered + (long) tile * Float.BYTES;
      for (int done = 0; done < count; done += tile) {
        int length = Math.min(tile, count - done);
        x.read(first + done, values, length);
        Loops.subtract(values, means, length);
        HostMemory.write(values, 0, centered, length);
        oneDnn.productOfColumns(
            channels,
            channels,
            length / channels,
            centered,
            channels,
            centered,
            channels,
            result,
            channels);
        HostMemory.read(result, sums, sums.length);
        Loops.add(comoments.products, sums, sums.length);
      }
      return comoments;
    }
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
