package org.unetrpp.backend.cpu;

import java.util.Arrays;

/**
 * Of each channel, in double: the sum of a gradient, and of the gradient times what another tensor
 * differs from its mean.
 */
final class ChannelSums {
  /** Values of a tile; the arrays that a pass over it needs stay in the first-level cache. */
  private static final int TILE = 1024;

  /** Tiles whose sums are kept lane by lane, in float, before they go to double. */
  private static final int TILES = 16;

  private static final int SUM_SLOT = 6;
  private static final int PRODUCT_SLOT = 7;

  private final double[] sums;
  private final double[] products;

  ChannelSums(int channels) {
    sums = new double[channels];
    products = new double[channels];
  }

  /** Values of a tile of whole rows. */
  static int tile(int channels) {
    return channels * Math.max(1, TILE / channels);
  }

  /** Leaves a tile of the gradient in one array and of the other tensor in another. */
  @FunctionalInterface
  interface Body {
    void make(long first, int count, float[] gradient, float[] other);
  }

  /**
   * Of the tiles from element {@code first} to before {@code end}.
   *
   * @param mean by the tile
   */
  static ChannelSums of(
      long first, long end, float[] mean, int channels, Worker worker, Body body) {
    ChannelSums result = new ChannelSums(channels);
    int tile = tile(channels);
    float[] gradient = worker.array(0, tile);
    float[] other = worker.array(1, tile);
    float[] sum = worker.array(SUM_SLOT, tile);
    float[] product = worker.array(PRODUCT_SLOT, tile);
    int pending = 0;
    for (long at = first; at < end; at += tile) {
      if (pending == 0) {
        Arrays.fill(sum, 0, tile, 0);
        Arrays.fill(product, 0, tile, 0);
      }
      int count = (int) Math.min(tile, end - at);
      body.make(at, count, gradient, other);
      Loops.addWithCenteredProducts(other, mean, gradient, sum, product, count);
      pending++;
      if (pending == TILES) {
        result.addLanes(sum, product, tile);
        pending = 0;
      }
    }
    if (pending > 0) {
      result.addLanes(sum, product, tile);
    }
    return result;
  }

  private void addLanes(float[] sum, float[] product, int tile) {
    Moments.addLanes(sum, tile, sums);
    Moments.addLanes(product, tile, products);
  }

  /** Adds other sums. */
  void add(ChannelSums other) {
    for (int channel = 0; channel < sums.length; channel++) {
      sums[channel] += other.sums[channel];
      products[channel] += other.products[channel];
    }
  }

  /** The sums of each item from those of its parts, which lie item by item. */
  static ChannelSums[] ofItems(ChannelSums[] parts, int batch, int channels) {
    int perItem = parts.length / batch;
    ChannelSums[] items = new ChannelSums[batch];
    for (int item = 0; item < batch; item++) {
      items[item] = new ChannelSums(channels);
      for (int part = 0; part < perItem; part++) {
        items[item].add(parts[item * perItem + part]);
      }
    }
    return items;
  }

  double[] sums() {
    return sums;
  }

  double[] products() {
    return products;
  }
}
