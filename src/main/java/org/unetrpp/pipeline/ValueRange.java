package org.unetrpp.pipeline;

import java.util.Arrays;
import java.util.OptionalInt;
import org.unetrpp.grid.Extents;

/**
 * The values that a resampled volume may take: those between the least and the greatest of the
 * volume before, of each slice by itself where slices are resampled separately.
 *
 * @param extents size of the volume that is limited
 * @param axis the axis whose slices have limits of their own; if empty there is one pair of limits
 * @param low least value of each slice
 * @param high greatest value of each slice
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record ValueRange(Extents extents, OptionalInt axis, float[] low, float[] high) {
  /** What the slices of a volume span. */
  static ValueRange of(
      VolumeResize.SliceSource volume, Extents extents, OptionalInt axis, Workers workers) {
    ValueRange[] bySlice = new ValueRange[extents.depth()];
    workers.forEach(
        extents.depth(),
        () -> new float[extents.height() * extents.width()],
        (voxels, depth) -> {
          volume.read(depth, voxels);
          bySlice[depth] = empty(extents, axis);
          bySlice[depth].include(depth, voxels);
        });
    ValueRange range = empty(extents, axis);
    for (ValueRange slice : bySlice) {
      for (int index = 0; index < range.low.length; index++) {
        range.low[index] = Math.min(range.low[index], slice.low[index]);
        range.high[index] = Math.max(range.high[index], slice.high[index]);
      }
    }
    return range;
  }

  private static ValueRange empty(Extents extents, OptionalInt axis) {
    int slices = axis.isPresent() ? extents.along(axis.getAsInt()) : 1;
    ValueRange range = new ValueRange(extents, axis, new float[slices], new float[slices]);
    Arrays.fill(range.low, Float.POSITIVE_INFINITY);
    Arrays.fill(range.high, Float.NEGATIVE_INFINITY);
    return range;
  }

  /** No limits. */
  static ValueRange unlimited(Extents extents) {
    return new ValueRange(
        extents,
        OptionalInt.empty(),
        new float[] {Float.NEGATIVE_INFINITY},
        new float[] {Float.POSITIVE_INFINITY});
  }

  private void include(int depth, float[] voxels) {
    int index = 0;
    for (int row = 0; row < extents.height(); row++) {
      for (int column = 0; column < extents.width(); column++) {
        int slice = slice(depth, row, column);
        low[slice] = Math.min(low[slice], voxels[index]);
        high[slice] = Math.max(high[slice], voxels[index]);
        index++;
      }
    }
  }

  private int slice(int depth, int row, int column) {
    return axis.isEmpty()
        ? 0
        : switch (axis.getAsInt()) {
          case 0 -> depth;
          case 1 -> row;
          default -> column;
        };
  }

  /** The limits of a volume that took its slices from the nearest of this one. */
  ValueRange resized(Extents to, OptionalInt separateAxis) {
    if (separateAxis.isEmpty()) {
      return new ValueRange(to, axis, low, high);
    }
    int along = separateAxis.getAsInt();
    AxisKernel nearest = AxisKernel.nearest(extents.along(along), to.along(along));
    float[] newLow = new float[nearest.to()];
    float[] newHigh = new float[nearest.to()];
    for (int slice = 0; slice < nearest.to(); slice++) {
      newLow[slice] = low[nearest.index(slice, 0)];
      newHigh[slice] = high[nearest.index(slice, 0)];
    }
    return new ValueRange(to, axis, newLow, newHigh);
  }

  /** Writes a slice of (H, W), clipped and rounded to float. */
  void store(int depth, double[][] rows, float[] target, int first) {
    int index = first;
    for (int row = 0; row < extents.height(); row++) {
      for (int column = 0; column < extents.width(); column++) {
        int slice = slice(depth, row, column);
        target[index] = (float) Math.clamp(rows[row][column], low[slice], high[slice]);
        index++;
      }
    }
  }
}
