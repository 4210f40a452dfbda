package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.unetrpp.grid.Extents;

/**
 * Slices of a box of a volume with its axes in another order, read where they lie.
 *
 * @param volume floats
 * @param depths where, counted in floats, each slice begins, relative to the other two
 * @param rows the same of each row of a slice
 * @param columns the same of each voxel of a row
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record TurnedSlices(MemorySegment volume, long[] depths, long[] rows, long[] columns)
    implements VolumeResize.SliceSource {
  /**
   * Slices of a volume of (D, H, W) floats.
   *
   * @param extents size of the volume
   * @param box what to read
   * @param order axes of the slices; the first is across them
   */
  static TurnedSlices of(MemorySegment volume, Extents extents, Box box, AxisOrder order) {
    if (!box.fits(extents)) {
      throw new IllegalArgumentException("%s, expected inside of %s".formatted(box, extents));
    }
    long[] strides = {(long) extents.height() * extents.width(), extents.width(), 1};
    long[][] places = new long[3][];
    for (int axis = 0; axis < 3; axis++) {
      int old = order.along(axis);
      places[axis] = new long[box.extents().along(old)];
      for (int index = 0; index < places[axis].length; index++) {
        places[axis][index] = (box.origin().along(old) + index) * strides[old];
      }
    }
    return new TurnedSlices(volume, places[0], places[1], places[2]);
  }

  @Override
  public void read(int slice, float[] target) {
    int width = columns.length;
    if (columns[width - 1] - columns[0] == width - 1) { // ascending, so a row in one piece
      for (int row = 0; row < rows.length; row++) {
        long first = depths[slice] + rows[row] + columns[0];
        MemorySegment.copy(volume, JAVA_FLOAT, first * Float.BYTES, target, row * width, width);
      }
      return;
    }
    for (int row = 0; row < rows.length; row++) {
      long first = depths[slice] + rows[row];
      for (int column = 0; column < width; column++) {
        target[row * width + column] = volume.getAtIndex(JAVA_FLOAT, first + columns[column]);
      }
    }
  }

  /** The same, with 0 in place of NaN. */
  VolumeResize.SliceSource withoutNaN() {
    return (slice, target) -> {
      read(slice, target);
      for (int voxel = 0; voxel < target.length; voxel++) {
        if (Float.isNaN(target[voxel])) {
          target[voxel] = 0;
        }
      }
    };
  }

  @Override
  public String toString() {
    return "TurnedSlices[%d of %dx%d]".formatted(depths.length, rows.length, columns.length);
  }

  /** Indices counted in steps of a stride. */
  static long[] places(int count, long stride) {
    long[] places = new long[count];
    Arrays.setAll(places, index -> index * stride);
    return places;
  }
}
