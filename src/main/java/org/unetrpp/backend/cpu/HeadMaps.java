package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.memory.Buffer;

/**
 * What one head of {@link PairedAttention} does with every token.
 *
 * @param logits logits from X or from the head's query, (C, P) or (d, P)
 * @param projectedValues Vp of the head, (d, P)
 * @param channelBranch what the head gives the channel branch: of the channels that its output
 *     layer, or the head where there is none, writes, those from X or from the head's value
 */
record HeadMaps(Doubles logits, Doubles projectedValues, Doubles channelBranch) {
  private static final double LEAST_NORM = 1e-12;

  /** Whether keys and values are projected along the tokens by different weights. */
  static boolean hasTwoProjections(PairedAttentionParameters p) {
    return !p.keys().weight().equals(p.values().weight());
  }

  /** Makes the maps of one head of one item from sums over its tokens, in double. */
  static final class Maker {
    private final PairedAttentionParameters p;
    private final double[] total;
    private final int head;
    private final int channels;
    private final int d;
    private final int projected;

    /**
     * Takes the sums.
     *
     * @param total G, E X and, where there is another projection, F X; or Q^T Q, K^T K and Q^T K by
     *     heads, E K and F V
     */
    Maker(PairedAttentionParameters p, double[] total, int head) {
      this.p = p;
      this.total = total;
      this.head = head;
      channels = p.channels();
      d = p.headChannels();
      projected = p.projected();
    }

    /**
     * Makes the maps.
     *
     * @param direct whether the sums are of queries, keys and values and not of X
     */
    HeadMaps make(boolean direct) {
      return direct ? ofQueries() : ofTokens();
    }

    private HeadMaps ofTokens() {
      Doubles gram = Doubles.of(total, 0, channels, channels);
      Doubles query = weights(0);
      Doubles key = weights(1);
      Doubles queryGram = query.times(gram);
      Doubles keyGram = key.times(gram);
      double[] queryNorms = new double[d];
      double[] keyNorms = new double[d];
      for (int c = 0; c < d; c++) {
        queryNorms[c] = norm(queryGram.rowProduct(c, query));
        keyNorms[c] = norm(keyGram.rowProduct(c, key));
      }
      Doubles map = channelMap(queryGram.times(key.transposed()), queryNorms, keyNorms);
      int products = channels * channels;
      Doubles projectedTokens = Doubles.of(total, products, projected, channels).transposed();
      Doubles projectedOthers =
          hasTwoProjections(p)
              ? Doubles.of(total, products + projected * channels, projected, channels).transposed()
              : projectedTokens;
      Doubles keys = key.times(projectedTokens);
      Doubles projectedValues = weights(3).times(projectedOthers);
      finish(keys, projectedValues, queryNorms);
      return new HeadMaps(
          query.transposed().times(keys), projectedValues, output(map.times(weights(2))));
    }

    private HeadMaps ofQueries() {
      int step = channels * d;
      Doubles queries = Doubles.of(total, head * d * d, d, d);
      Doubles keys = Doubles.of(total, step + head * d * d, d, d);
      double[] queryNorms = new double[d];
      double[] keyNorms = new double[d];
      for (int c = 0; c < d; c++) {
        queryNorms[c] = norm(queries.get(c, c));
        keyNorms[c] = norm(keys.get(c, c));
      }
      Doubles map =
          channelMap(Doubles.of(total, 2 * step + head * d * d, d, d), queryNorms, keyNorms);
      Doubles projectedKeys = ofHead(3 * step);
      Doubles projectedValues = ofHead(3 * step + projected * channels);
      finish(projectedKeys, projectedValues, queryNorms);
      return new HeadMaps(projectedKeys, projectedValues, output(map));
    }

    /** A head's channel branch, (d, any), with the output layer behind it where there is one. */
    private Doubles output(Doubles branch) {
      Concatenation fusion = p.fusion();
      if (fusion == null) {
        return branch;
      }
      return Doubles.of(Values.of(fusion.channelWeight()), 0, channels / 2, channels)
          .columns(head * d, d)
          .times(branch);
    }

    /** A head's part of a projection along tokens, (d, P). */
    private Doubles ofHead(int first) {
      return Doubles.of(total, first, projected, channels).columns(head * d, d).transposed();
    }

    /** A head's rows of one of the four projections, (d, C). */
    private Doubles weights(int which) {
      return Doubles.of(
          Values.of(p.qkvv()), ((long) which * channels + (long) head * d) * channels, d, channels);
    }

    private static double norm(double square) {
      return Math.max(Math.sqrt(Math.max(square, 0)), LEAST_NORM);
    }

    /** The map between the channels of a head, from the products of queries and keys. */
    private Doubles channelMap(Doubles products, double[] queryNorms, double[] keyNorms) {
      double temperature = value(p.temperature(), head);
      for (int row = 0; row < d; row++) {
        for (int column = 0; column < d; column++) {
          products.set(
              row,
              column,
              products.get(row, column) * temperature / (queryNorms[row] * keyNorms[column]));
        }
      }
      products.softmax();
      return products;
    }

    /** Biases to keys and values; then the norms of the queries and the temperature to keys. */
    private void finish(Doubles keys, Doubles values, double[] queryNorms) {
      addBias(keys, p.keys().bias());
      addBias(values, p.values().bias());
      double temperature = value(p.temperature2(), head);
      for (int c = 0; c < d; c++) {
        keys.scaleRow(c, temperature / queryNorms[c]);
      }
    }

    private void addBias(Doubles x, @Nullable Buffer bias) {
      if (bias != null) {
        double[] addend = Values.of(bias).toDoubles();
        for (int column = 0; column < projected; column++) {
          x.addToColumn(column, addend[column]);
        }
      }
    }

    private static double value(Buffer buffer, int index) {
      return Values.of(buffer).toArray()[index];
    }
  }
}
