package org.unetrpp.image;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Writes intensities as numbers of a stored type. */
final class VoxelEncoder {
  private static final int TILE = 1 << 16;

  private final VoxelType type;
  private final byte[] bytes;
  private final short[] shorts = new short[TILE];
  private final ByteBuffer buffer;

  /**
   * @throws IllegalArgumentException if this type is not written
   */
  VoxelEncoder(VoxelType type, ByteOrder order) {
    if (type != VoxelType.UINT8 && type != VoxelType.INT16 && type != VoxelType.FLOAT32) {
      throw new IllegalArgumentException(type + ", expected UINT8, INT16 or FLOAT32");
    }
    this.type = type;
    this.bytes = new byte[TILE * type.bytes()];
    this.buffer = ByteBuffer.wrap(bytes).order(order);
  }

  /**
   * @throws IllegalArgumentException if a voxel, rounded, is beyond the range of an integer type
   */
  void write(float[] voxels, OutputStream out) throws IOException {
    for (int start = 0; start < voxels.length; start += TILE) {
      int count = Math.min(TILE, voxels.length - start);
      switch (type) {
        case FLOAT32 -> buffer.asFloatBuffer().put(voxels, start, count);
        case INT16 -> {
          round(voxels, start, count, Short.MIN_VALUE, Short.MAX_VALUE);
          buffer.asShortBuffer().put(shorts, 0, count);
        }
        default -> {
          round(voxels, start, count, 0, 255);
          for (int i = 0; i < count; i++) {
            bytes[i] = (byte) shorts[i];
          }
        }
      }
      out.write(bytes, 0, count * type.bytes());
    }
  }

  /** Rounds half to even into the array of shorts. */
  private void round(float[] voxels, int start, int count, int smallest, int largest) {
    boolean within = true;
    for (int i = 0; i < count; i++) { // without an exit, which would keep it from being unrolled
      float rounded = (float) Math.rint(voxels[start + i]);
      within &= rounded >= smallest && rounded <= largest;
      shorts[i] = (short) rounded;
    }
    if (!within) {
      throw beyondRange(voxels, start, smallest, largest);
    }
  }

  private IllegalArgumentException beyondRange(
      float[] voxels, int start, int smallest, int largest) {
    int voxel = start;
    while (Math.rint(voxels[voxel]) >= smallest && Math.rint(voxels[voxel]) <= largest) {
      voxel++;
    }
    return new IllegalArgumentException(
        "voxel %d is %s, expected %d to %d as %s"
            .formatted(voxel, voxels[voxel], smallest, largest, type));
  }
}
