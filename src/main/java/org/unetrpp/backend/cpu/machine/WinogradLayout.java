package org.unetrpp.backend.cpu.machine;

/**
 * Where the values of a strip of a 3x3x3 convolution lie between its steps: rows of one plane,
 * transformed along the width. Channels go in blocks of the 16 that a vector holds.
 *
 * <p>Transformed inputs of a plane are (product, block of input channels, row, tile, 16), with one
 * row of halo on either side; products are (product, block of output channels, row, tile, 16) for
 * the output channels computed together.
 *
 * @param inChannels channels read, a multiple of 16
 * @param outChannels channels written, a multiple of 16
 * @param width voxels of a row
 * @param rows of the strip
 * @param together blocks of output channels computed together
 */
record WinogradLayout(int inChannels, int outChannels, int width, int rows, int together) {
  static final int LANES = 16;
  static final int VECTOR = LANES * Float.BYTES;

  int inBlocks() {
    return inChannels / LANES;
  }

  /** Times that {@code together} blocks of output channels are computed. */
  int outGroups() {
    return outChannels / LANES / together;
  }

  int tiles() {
    return Math.ceilDiv(width, Winograd.TILE);
  }

  /** Bytes of a row of tiles, in inputs and products. */
  int rowBytes() {
    return tiles() * VECTOR;
  }

  /** Bytes from one block of input channels to the next. */
  int blockBytes() {
    return (rows + 2) * rowBytes();
  }

  /**
   * Bytes of the inputs of one product; the odd vector keeps products from meeting in the cache.
   */
  int inputBytes() {
    return inBlocks() * blockBytes() + VECTOR;
  }

  /** Bytes of the transformed inputs of a plane. */
  int planeBytes() {
    return Winograd.PRODUCTS * inputBytes();
  }

  /** Bytes from one block of output channels to the next. */
  int resultBlockBytes() {
    return rows * rowBytes();
  }

  /** Bytes from one product's results to the next's. */
  int resultBytes() {
    return together * resultBlockBytes() + VECTOR;
  }

  int resultsBytes() {
    return Winograd.PRODUCTS * resultBytes();
  }

  /** Bytes of a row's values with zeros on both sides, for one block of channels. */
  int lineBytes() {
    return (Winograd.TILE * tiles() + 2) * VECTOR;
  }

  /** Bytes of the weights of one product and one group of output channels. */
  int weightBytes() {
    return 9 * inChannels * together * VECTOR;
  }
}
