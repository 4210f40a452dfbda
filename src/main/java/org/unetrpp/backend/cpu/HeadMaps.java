package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.HostMemory;

/**
 * What {@link PairedAttention} makes between its passes, head by head: from sums over the tokens,
 * the maps that every token then goes through. Norms and the products of queries and keys, in which
 * large terms cancel, are computed in double.
 */
final class HeadMaps {
  private static final double LEAST_NORM = 1e-12;

  private final OneDnn oneDnn;
  private final PairedAttentionParameters p;
  private final boolean direct;
  private final int channels;
  private final int d;
  private final int projected;
  private final double[] temperature;
  private final double[] temperature2;
  private final float @Nullable [] keyBias;
  private final float @Nullable [] valueBias;
  private final float[] gamma;

  /** The projections to queries and keys, (2 C, C), where the sums are of X; else empty. */
  private final double[] weights;

  /**
   * Plans for parameters.
   *
   * @param direct whether the sums are of queries, keys and values and not of X
   */
  HeadMaps(OneDnn oneDnn, PairedAttentionParameters p, boolean direct) {
    this.oneDnn = oneDnn;
    this.p = p;
    this.direct = direct;
    channels = p.channels();
    d = p.headChannels();
    projected = p.projected();
    temperature = Values.of(p.temperature()).toDoubles();
    temperature2 = Values.of(p.temperature2()).toDoubles();
    keyBias = floats(p.keys().bias());
    valueBias = floats(p.values().bias());
    gamma = Values.of(p.gamma()).toArray();
    weights =
        direct ? new double[0] : Values.of(p.qkvv().slice(0, 2L * channels * channels)).toDoubles();
  }

  private static float @Nullable [] floats(@Nullable Buffer buffer) {
    return buffer == null ? null : Values.of(buffer).toArray();
  }

  /** Where the maps of a head go; its fields are set anew for each, so that none is made. */
  static final class Places {
    /** Sums along the tokens for keys and for values, each (P, C). */
    long keySums;

    long valueSums;

    /** Logits from X, (C, P), or from the head's query, (d, P), and their row stride. */
    long logits;

    long logitStride;

    /** Vp of the head, (d, P). */
    long values;

    /**
     * The channel branch of the item: the head's rows of (C, C) before the output layer; or, with
     * one behind values, its columns of (C / 2, C).
     */
    long branch;

    /** The output layer of the channel branch times gamma, (C / 2, C); 0 for none. */
    long outputLayer;
  }

  /**
   * Makes the maps of one head.
   *
   * @param totals sums of an item from element {@code first} on: G; or, of queries and keys, the
   *     squares, and Q^T K by heads
   */
  void connect(int head, double[] totals, int first, Places to, Worker worker) {
    int norms = d * d; // behind A, (d, d): the norms of queries, then of keys
    int left = norms + 2 * d;
    double[] work = worker.doubles(left + d * channels);
    if (direct) {
      for (int c = 0; c < d; c++) {
        work[norms + c] = norm(totals[first + head * d + c]);
        work[norms + d + c] = norm(totals[first + channels + head * d + c]);
      }
      System.arraycopy(totals, first + 2 * channels + head * d * d, work, 0, d * d);
    } else {
      int query = head * d * channels;
      int key = (channels + head * d) * channels;
      multiply(key, totals, first, work, left);
      for (int c = 0; c < d; c++) {
        work[norms + d + c] = norm(dot(work, left + c * channels, key + c * channels));
      }
      multiply(query, totals, first, work, left);
      for (int c = 0; c < d; c++) {
        int row = left + c * channels;
        work[norms + c] = norm(dot(work, row, query + c * channels));
        for (int other = 0; other < d; other++) {
          work[c * d + other] = dot(work, row, key + other * channels);
        }
      }
    }
    attend(work, norms, temperature[head]);
    channelBranch(head, work, to, worker);
    long keys = direct ? to.logits : worker.scratch((long) d * projected);
    projectHead(head, 1, to.keySums, keys, worker);
    addBias(keys, keyBias, worker);
    for (int c = 0; c < d; c++) {
      scale(at(keys, (long) c * projected), (float) (temperature2[head] / work[norms + c]), worker);
    }
    if (!direct) {
      oneDnn.productOfColumns(
          channels,
          projected,
          d,
          weight(0, head),
          channels,
          keys,
          projected,
          to.logits,
          to.logitStride);
    }
    projectHead(head, 3, to.valueSums, to.values, worker);
    addBias(to.values, valueBias, worker);
  }

  private static long at(long address, long element) {
    return address + element * Float.BYTES;
  }

  /** Address of a head's rows of one of the four projections, (d, C). */
  private long weight(int which, int head) {
    return at(p.qkvv().address(), ((long) which * channels + (long) head * d) * channels);
  }

  private static double norm(double square) {
    return Math.max(Math.sqrt(Math.max(square, 0)), LEAST_NORM);
  }

  /** {@code product = W G}, (d, C), for the rows of W from a weight on. */
  private void multiply(int weight, double[] gram, int gramFirst, double[] product, int first) {
    for (int c = 0; c < d; c++) {
      int row = first + c * channels;
      Arrays.fill(product, row, row + channels, 0);
      int inner = 0;
      for (; inner + 3 < channels; inner += 4) { // four at a time, so that sums move less
        double w0 = weights[weight + c * channels + inner];
        double w1 = weights[weight + c * channels + inner + 1];
        double w2 = weights[weight + c * channels + inner + 2];
        double w3 = weights[weight + c * channels + inner + 3];
        int from = gramFirst + inner * channels;
        for (int i = 0; i < channels; i++) {
          product[row + i] +=
              w0 * gram[from + i]
                  + w1 * gram[from + channels + i]
                  + w2 * gram[from + 2 * channels + i]
                  + w3 * gram[from + 3 * channels + i];
        }
      }
      for (; inner < channels; inner++) {
        double w = weights[weight + c * channels + inner];
        for (int i = 0; i < channels; i++) {
          product[row + i] += w * gram[gramFirst + inner * channels + i];
        }
      }
    }
  }

  /** The inner product of C values and a row of the weights. */
  private double dot(double[] a, int first, int weight) {
    double sum = 0;
    for (int i = 0; i < channels; i++) {
      sum += a[first + i] * weights[weight + i];
    }
    return sum;
  }

  /** The map between the channels of a head, (d, d), from products of queries and keys. */
  private void attend(double[] map, int norms, double ofHead) {
    for (int row = 0; row < d; row++) {
      int begin = row * d;
      double largest = Double.NEGATIVE_INFINITY;
      for (int column = 0; column < d; column++) {
        double scaled = map[begin + column] * ofHead;
        map[begin + column] = scaled / (map[norms + row] * map[norms + d + column]);
        largest = Math.max(largest, map[begin + column]);
      }
      double sum = 0;
      for (int column = 0; column < d; column++) {
        map[begin + column] = Math.exp(map[begin + column] - largest);
        sum += map[begin + column];
      }
      for (int column = 0; column < d; column++) {
        map[begin + column] /= sum;
      }
    }
  }

  /** What the head gives the channel branch: A, and what follows it. */
  private void channelBranch(int head, double[] map, Places to, Worker worker) {
    boolean isLast = to.outputLayer == 0; // nothing follows but gamma
    if (direct && isLast) {
      float[] line = worker.array(0, channels);
      for (int row = 0; row < d; row++) {
        Arrays.fill(line, 0, channels, 0);
        for (int i = 0; i < d; i++) {
          line[head * d + i] = (float) (map[row * d + i] * gamma[head * d + row]);
        }
        HostMemory.write(line, 0, at(to.branch, ((long) head * d + row) * channels), channels);
      }
      return;
    }
    float[] rounded = worker.array(0, d * d);
    for (int i = 0; i < d * d; i++) {
      rounded[i] = (float) (isLast ? map[i] * gamma[head * d + i / d] : map[i]);
    }
    long scratch = worker.scratch((long) d * d);
    HostMemory.write(rounded, 0, scratch, d * d);
    if (direct) {
      oneDnn.plainProduct(
          channels / 2,
          d,
          d,
          at(to.outputLayer, (long) head * d),
          channels,
          scratch,
          d,
          at(to.branch, (long) head * d),
          channels,
          false);
    } else {
      oneDnn.plainProduct(
          d,
          channels,
          d,
          scratch,
          d,
          weight(2, head),
          channels,
          at(to.branch, (long) head * d * channels),
          channels,
          false);
    }
  }

  /** The head's rows of a projection along tokens, (d, P), of keys or spatial values. */
  private void projectHead(int head, int which, long tokenSums, long to, Worker worker) {
    if (!direct) {
      oneDnn.productOfRows(
          d,
          projected,
          channels,
          weight(which, head),
          channels,
          tokenSums,
          channels,
          to,
          projected,
          false);
      return;
    }
    float[] transposed = worker.array(0, d * projected);
    float[] line = worker.array(1, d);
    for (int i = 0; i < projected; i++) {
      HostMemory.read(at(tokenSums, (long) i * channels + (long) head * d), line, d);
      for (int c = 0; c < d; c++) {
        transposed[c * projected + i] = line[c];
      }
    }
    HostMemory.write(transposed, 0, to, d * projected);
  }

  private void addBias(long rows, float @Nullable [] bias, Worker worker) {
    if (bias == null) {
      return;
    }
    float[] line = worker.array(0, projected);
    for (int c = 0; c < d; c++) {
      long row = at(rows, (long) c * projected);
      HostMemory.read(row, line, projected);
      Loops.add(line, bias, projected);
      HostMemory.write(line, 0, row, projected);
    }
  }

  private void scale(long row, float factor, Worker worker) {
    float[] line = worker.array(0, projected);
    HostMemory.read(row, line, projected);
    Loops.scale(line, factor, 0, projected);
    HostMemory.write(line, 0, row, projected);
  }
}
