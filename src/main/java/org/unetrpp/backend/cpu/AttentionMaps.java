package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.memory.Buffer;

/**
 * What {@link AttentionTraining} makes once for all tokens of one item, in double, and the
 * gradients of it. Rows are channels, those of a head one after the other.
 */
final class AttentionMaps {
  private static final double LEAST_NORM = 1e-12;

  private final PairedAttentionParameters p;
  private final int channels;
  private final int d;
  private final int projected;
  private final boolean twoProjections;
  private final Doubles queryWeight;
  private final Doubles keyWeight;
  private final Doubles channelWeight;
  private final Doubles spatialWeight;

  /** Wq G and Wk G, (C, C). */
  private final Doubles queryGram;

  private final Doubles keyGram;
  private final double[] queryNorms;
  private final double[] keyNorms;

  /** Products of normalized queries and keys, (C, d). */
  private final Doubles products;

  /** A, (C, d). */
  private final Doubles attention;

  /** What dropout multiplies A with, (C, d). */
  private final float[] factors;

  /** (E X)^T and (F X)^T, (C, P). */
  private final Doubles projectedTokens;

  private final Doubles projectedOthers;

  /** Kp, (C, P). */
  private final Doubles keys;

  /** Vp, (C, P). */
  private final Doubles values;

  /** Kp times temperature over the norms of the queries, (C, P). */
  private final Doubles logitKeys;

  /** The channel branch as a map of X: row c gives channel c from those of a token, (C, C). */
  private final Doubles channelMap;

  private final double[] temperature;
  private final double[] temperature2;

  /**
   * From sums over the tokens.
   *
   * @param sums G (C, C), E X (P, C) and, where there is another projection, F X
   * @param item whose dropout it is
   */
  AttentionMaps(PairedAttentionParameters p, double[] sums, Dropout channelMaps, int item) {
    this.p = p;
    channels = p.channels();
    d = p.headChannels();
    projected = p.projected();
    twoProjections = p.hasTwoProjections();
    temperature = Values.of(p.temperature()).toDoubles();
    temperature2 = Values.of(p.temperature2()).toDoubles();
    queryWeight = weights(0);
    keyWeight = weights(1);
    channelWeight = weights(2);
    spatialWeight = weights(3);
    Doubles gram = Doubles.of(sums, 0, channels, channels);
    queryGram = queryWeight.times(gram);
    keyGram = keyWeight.times(gram);
    queryNorms = norms(queryGram, queryWeight);
    keyNorms = norms(keyGram, keyWeight);
    products = products();
    attention = attention();
    factors = new float[channels * d];
    new DropoutMask(channelMaps).factors((long) item * factors.length, factors, factors.length);
    channelMap = channelMap();
    int first = channels * channels;
    projectedTokens = Doubles.of(sums, first, projected, channels).transposed();
    projectedOthers =
        twoProjections
            ? Doubles.of(sums, first + projected * channels, projected, channels).transposed()
            : projectedTokens;
    keys = keyWeight.times(projectedTokens);
    addBias(keys, p.keys().bias());
    values = spatialWeight.times(projectedOthers);
    addBias(values, p.values().bias());
    logitKeys = new Doubles(channels, projected);
    for (int c = 0; c < channels; c++) {
      logitKeys.addToRow(c, temperature2[c / d] / queryNorms[c], keys, c);
    }
  }

  private Doubles weights(int which) {
    return Doubles.of(Values.of(p.qkvv()), (long) which * channels * channels, channels, channels);
  }

  private double[] norms(Doubles weightGram, Doubles weight) {
    double[] norms = new double[channels];
    for (int c = 0; c < channels; c++) {
      norms[c] = Math.max(Math.sqrt(Math.max(weightGram.rowProduct(c, weight), 0)), LEAST_NORM);
    }
    return norms;
  }

  private int firstOfHead(int channel) {
    return channel / d * d;
  }

  private Doubles products() {
    Doubles result = new Doubles(channels, d);
    for (int i = 0; i < channels; i++) {
      for (int j = 0; j < d; j++) {
        int key = firstOfHead(i) + j;
        double product = queryGram.rowProduct(i, keyWeight, key);
        result.set(i, j, product / (queryNorms[i] * keyNorms[key]));
      }
    }
    return result;
  }

  private Doubles attention() {
    Doubles maps = new Doubles(channels, d);
    for (int i = 0; i < channels; i++) {
      maps.addToRow(i, temperature[i / d], products, i);
    }
    maps.softmax();
    return maps;
  }

  private double dropped(int row, int column) {
    return attention.get(row, column) * factors[row * d + column];
  }

  private Doubles channelMap() {
    Doubles map = new Doubles(channels, channels);
    for (int i = 0; i < channels; i++) {
      for (int j = 0; j < d; j++) {
        map.addToRow(i, dropped(i, j), channelWeight, firstOfHead(i) + j);
      }
    }
    return map;
  }

  private void addBias(Doubles x, @Nullable Buffer bias) {
    if (bias != null) {
      double[] addend = Values.of(bias).toDoubles();
      for (int column = 0; column < projected; column++) {
        x.addToColumn(column, addend[column]);
      }
    }
  }

  /** Kp times temperature over the norms of the queries, (C, P). */
  Doubles logitKeys() {
    return logitKeys;
  }

  /** Vp, (C, P). */
  Doubles values() {
    return values;
  }

  /**
   * gamma, the channel branch's output layer where there is one, and the channel branch as one map
   * of X, (C / 2 or C, C).
   */
  Doubles scaledChannelBranch(double[] gamma) {
    return outputLayer(gamma).times(channelMap);
  }

  /** gamma and the channel branch's output layer, (C / 2, C); or gamma's diagonal. */
  private Doubles outputLayer(double[] gamma) {
    Concatenation fusion = p.fusion();
    if (fusion == null) {
      Doubles diagonal = new Doubles(channels, channels);
      for (int c = 0; c < channels; c++) {
        diagonal.set(c, c, gamma[c]);
      }
      return diagonal;
    }
    int half = channels / 2;
    Doubles layer = Doubles.of(Values.of(fusion.channelWeight()), 0, half, channels);
    for (int c = 0; c < half; c++) {
      layer.scaleRow(c, gamma[half + c]);
    }
    return layer;
  }

  /**
   * The gradient that the channel half of the output, or all of it, sends to its layer: dy^T times
   * the channel branch.
   *
   * @param tokenProducts dy^T X, (C / 2 or C, C)
   */
  Doubles channelProducts(Doubles tokenProducts) {
    return tokenProducts.times(channelMap.transposed());
  }

  /**
   * The gradients of everything here.
   *
   * @param tokenProducts dy^T X, (C / 2 or C, C)
   * @param dlogitKeys gradient of {@link #logitKeys}, (C, P)
   * @param dvalues gradient of {@link #values}, (C, P)
   */
  Gradient gradient(double[] gamma, Doubles tokenProducts, Doubles dlogitKeys, Doubles dvalues) {
    return new Gradient(gamma, tokenProducts, dlogitKeys, dvalues);
  }

  /** Gradients of the parameters that the maps are made of, and of the sums over tokens. */
  final class Gradient {
    private final double[] dtemperature = new double[temperature.length];
    private final double[] dtemperature2 = new double[temperature.length];
    private final double[] dqueryNorms = new double[channels];
    private final double[] dkeyNorms = new double[channels];
    private final Doubles dquery = new Doubles(channels, channels);
    private final Doubles dkey;
    private final Doubles dchannel = new Doubles(channels, channels);
    private final Doubles dspatial;

    /** Kp's, (C, P). */
    private final Doubles dkeys;

    private final Doubles dvalues;
    private final Doubles dgram;
    private final Doubles dprojectedTokens;
    private final Doubles dprojectedOthers;

    private Gradient(double[] gamma, Doubles tokenProducts, Doubles dlogitKeys, Doubles dvalues) {
      this.dvalues = dvalues;
      dkeys = new Doubles(channels, projected);
      keysBackward(dlogitKeys);
      dkey = dkeys.times(projectedTokens.transposed());
      dspatial = dvalues.times(projectedOthers.transposed());
      dprojectedTokens = keyWeight.transposed().times(dkeys);
      dprojectedOthers = spatialWeight.transposed().times(dvalues);
      if (!twoProjections) {
        dprojectedTokens.add(0, 0, dprojectedOthers);
      }
      Doubles dproducts = channelBackward(outputLayer(gamma).transposed().times(tokenProducts));
      dgram = productsBackward(dproducts);
      dgram.add(0, 0, dgram.transposed());
    }

    private void keysBackward(Doubles dlogitKeys) {
      for (int c = 0; c < channels; c++) {
        double scale = temperature2[c / d] / queryNorms[c];
        dkeys.addToRow(c, scale, dlogitKeys, c);
        double along = dlogitKeys.rowProduct(c, keys);
        dtemperature2[c / d] += along / queryNorms[c];
        dqueryNorms[c] -= along * scale / queryNorms[c];
      }
    }

    /** From the gradient of the channel branch to that of the products of queries and keys. */
    private Doubles channelBackward(Doubles dchannelMap) {
      Doubles dproducts = new Doubles(channels, d);
      double[] dmap = new double[d];
      for (int i = 0; i < channels; i++) {
        double mean = 0;
        for (int j = 0; j < d; j++) {
          int value = firstOfHead(i) + j;
          dchannel.addToRow(value, dropped(i, j), dchannelMap, i);
          dmap[j] = dchannelMap.rowProduct(i, channelWeight, value) * factors[i * d + j];
          mean += attention.get(i, j) * dmap[j];
        }
        for (int j = 0; j < d; j++) {
          double dlogit = attention.get(i, j) * (dmap[j] - mean);
          dtemperature[i / d] += dlogit * products.get(i, j);
          dproducts.set(i, j, temperature[i / d] * dlogit);
        }
      }
      return dproducts;
    }

    /**
     * From the gradient of those products, and of the norms, to those of the weights and to one
     * half of G's, whose other half is its transpose.
     */
    private Doubles productsBackward(Doubles dproducts) {
      Doubles keysOfQuery = new Doubles(channels, channels);
      for (int i = 0; i < channels; i++) {
        for (int j = 0; j < d; j++) {
          int key = firstOfHead(i) + j;
          double gradient = dproducts.get(i, j);
          double along = gradient * products.get(i, j);
          dqueryNorms[i] -= along / queryNorms[i];
          dkeyNorms[key] -= along / keyNorms[key];
          double dproduct = gradient / (queryNorms[i] * keyNorms[key]);
          dquery.addToRow(i, dproduct, keyGram, key);
          dkey.addToRow(key, dproduct, queryGram, i);
          keysOfQuery.addToRow(i, dproduct, keyWeight, key);
        }
      }
      Doubles scaledKeys = new Doubles(channels, channels);
      for (int c = 0; c < channels; c++) {
        double query = ofSquare(dqueryNorms[c], queryNorms[c]);
        dquery.addToRow(c, 2 * query, queryGram, c);
        keysOfQuery.addToRow(c, query, queryWeight, c);
        double key = ofSquare(dkeyNorms[c], keyNorms[c]);
        dkey.addToRow(c, 2 * key, keyGram, c);
        scaledKeys.addToRow(c, key, keyWeight, c);
      }
      Doubles half = queryWeight.transposed().times(keysOfQuery);
      half.add(0, 0, keyWeight.transposed().times(scaledKeys));
      return half;
    }

    /** The gradient of a norm's square; none where the norm is held from below. */
    private static double ofSquare(double dnorm, double norm) {
      return norm <= LEAST_NORM ? 0 : dnorm / (2 * norm);
    }

    /** What a token's row is multiplied with for its part in G, (C, C): symmetric. */
    Doubles dgram() {
      return dgram;
    }

    /** Of E X, and of F X too if that is the same, (P, C). */
    Doubles dprojectedTokens() {
      return dprojectedTokens.transposed();
    }

    /** Of F X, (P, C). */
    Doubles dprojectedOthers() {
      return dprojectedOthers.transposed();
    }

    /** Adds to the gradients of parameters. */
    void addTo(AttentionSums sums) {
      int part = channels * channels;
      dquery.addTo(sums.qkvv, 0);
      dkey.addTo(sums.qkvv, part);
      dchannel.addTo(sums.qkvv, 2 * part);
      dspatial.addTo(sums.qkvv, 3 * part);
      for (int head = 0; head < temperature.length; head++) {
        sums.temperature[head] += dtemperature[head];
        sums.temperature2[head] += dtemperature2[head];
      }
      dkeys.addColumnSumsTo(sums.keyBias);
      dvalues.addColumnSumsTo(sums.valueBias);
    }
  }
}
