package org.unetrpp.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Turns stored numbers into doubles, a tile at a time. Each tile is copied, byte order included,
 * into an array of the stored type first: bulk copies and plain loops over arrays are what the
 * compiler vectorizes. For one thread.
 */
final class ScalarDecoder {
  /** Numbers in a tile; even, so that complex numbers stay whole. */
  static final int TILE = 4096;

  private final Scalar scalar;
  private final ByteOrder order;
  private final byte[] bytes = new byte[TILE];
  private final short[] shorts = new short[TILE];
  private final int[] ints = new int[TILE];
  private final long[] longs = new long[TILE];
  private final float[] floats = new float[TILE];

  ScalarDecoder(Scalar scalar, ByteOrder order) {
    this.scalar = scalar;
    this.order = order;
  }

  /** Writes the first {@code count} numbers of a tile that starts at {@code offset}. */
  void decode(byte[] block, int offset, int count, double[] values) {
    ByteBuffer source = ByteBuffer.wrap(block, offset, count * scalar.bytes()).slice().order(order);
    switch (scalar) {
      case UINT8, INT8 -> source.get(bytes, 0, count);
      case UINT16, INT16 -> source.asShortBuffer().get(shorts, 0, count);
      case UINT32, INT32 -> source.asIntBuffer().get(ints, 0, count);
      case UINT64, INT64 -> source.asLongBuffer().get(longs, 0, count);
      case FLOAT32 -> source.asFloatBuffer().get(floats, 0, count);
      case FLOAT64 -> source.asDoubleBuffer().get(values, 0, count);
    }
    widen(count, values);
  }

  private void widen(int count, double[] values) {
    switch (scalar) {
      case UINT8 -> widenUnsignedBytes(count, values);
      case INT8 -> widenBytes(count, values);
      case UINT16 -> widenUnsignedShorts(count, values);
      case INT16 -> widenShorts(count, values);
      case UINT32 -> widenUnsignedInts(count, values);
      case INT32 -> widenInts(count, values);
      case UINT64 -> widenUnsignedLongs(count, values);
      case INT64 -> widenLongs(count, values);
      case FLOAT32 -> widenFloats(count, values);
      case FLOAT64 -> {}
    }
  }

  private void widenUnsignedBytes(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = bytes[i] & 0xff;
    }
  }

  private void widenBytes(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = bytes[i];
    }
  }

  private void widenUnsignedShorts(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = shorts[i] & 0xffff;
    }
  }

  private void widenShorts(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = shorts[i];
    }
  }

  private void widenUnsignedInts(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = ints[i] & 0xffff_ffffL;
    }
  }

  private void widenInts(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = ints[i];
    }
  }

  private void widenUnsignedLongs(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = unsignedToDouble(longs[i]);
    }
  }

  private void widenLongs(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = (double) longs[i];
    }
  }

  private void widenFloats(int count, double[] values) {
    for (int i = 0; i < count; i++) {
      values[i] = floats[i];
    }
  }

  /** Rounded once: halving keeps the lowest bit sticky, so that doubling after it is exact. */
  private static double unsignedToDouble(long bits) {
    if (bits >= 0) {
      return (double) bits;
    }
    double half = (double) ((bits >>> 1) | (bits & 1));
    return half * 2;
  }
}
