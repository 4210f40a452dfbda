package org.unetrpp.augmentation;

import java.util.Arrays;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.Box;

/// Where the voxels of a rotated and scaled patch lie in the larger patch that it is taken from.
///
/// A voxel `v` of the target, counted from the target's center, lies at `s v R + c`: `v` is a row
/// vector, `R` the product of the rotations about the axes 0, 1 and 2, and `c` half the source's
/// extent, rounded half to even. So the grid lies half a voxel off that of a plain crop where the
/// extents are even, as published. Slice-wise, the slice axis stays as it is.
///
/// @param source extents of the larger patch
/// @param target extents of the patch; slice-wise of the same depth as the source
/// @param sliceWise whether only rows and columns are rotated and scaled
/// @param rotation R
/// @param scale s
record SamplingGrid(
    Extents source, Extents target, boolean sliceWise, double[][] rotation, double scale) {
  /**
   * A grid from its angles.
   *
   * @param angles about the three axes, in radians; slice-wise only the first may differ from 0
   */
  static SamplingGrid of(
      Extents source, Extents target, boolean sliceWise, double[] angles, double scale) {
    return new SamplingGrid(source, target, sliceWise, rotation(angles), scale);
  }

  /** The product of the rotations about the axes 0, 1 and 2, for row vectors. */
  static double[][] rotation(double[] angles) {
    double[] c = new double[3];
    double[] s = new double[3];
    for (int axis = 0; axis < 3; axis++) {
      c[axis] = StrictMath.cos(angles[axis]);
      s[axis] = StrictMath.sin(angles[axis]);
    }
    double[][] first = {{1, 0, 0}, {0, c[0], -s[0]}, {0, s[0], c[0]}};
    double[][] second = {{c[1], 0, s[1]}, {0, 1, 0}, {-s[1], 0, c[1]}};
    double[][] third = {{c[2], -s[2], 0}, {s[2], c[2], 0}, {0, 0, 1}};
    return product(product(first, second), third);
  }

  private static double[][] product(double[][] a, double[][] b) {
    double[][] product = new double[3][3];
    for (int row = 0; row < 3; row++) {
      for (int column = 0; column < 3; column++) {
        product[row][column] =
            a[row][0] * b[0][column] + a[row][1] * b[1][column] + a[row][2] * b[2][column];
      }
    }
    return product;
  }

  /**
   * The positions of a row of the target.
   *
   * @param positions along each axis of the source, (3, W), overwritten
   */
  void row(int slice, int row, double[][] positions) {
    double fromSlice = slice - (target.depth() - 1) / 2.0;
    double fromRow = row - (target.height() - 1) / 2.0;
    for (int axis = 0; axis < 3; axis++) {
      double start = fromSlice * rotation[0][axis] + fromRow * rotation[1][axis];
      double step = rotation[2][axis];
      double center = Math.rint(source.along(axis) / 2.0);
      double[] along = positions[axis];
      for (int column = 0; column < along.length; column++) {
        double fromColumn = column - (target.width() - 1) / 2.0;
        along[column] = (start + fromColumn * step) * scale + center;
      }
    }
    if (sliceWise) {
      Arrays.fill(positions[0], slice);
    }
  }

  /** Whether a position lies between the first and last voxels of an axis of the source. */
  boolean isInside(int axis, double position) {
    return position >= 0 && position <= source.along(axis) - 1;
  }

  /**
   * The part of the source that the target shows.
   *
   * @param margin voxels more on each side, where the source has them
   */
  Box footprint(int margin) {
    double[] low = {Double.MAX_VALUE, Double.MAX_VALUE, Double.MAX_VALUE};
    double[] high = {-Double.MAX_VALUE, -Double.MAX_VALUE, -Double.MAX_VALUE};
    double[][] positions = new double[3][target.width()];
    for (int slice : new int[] {0, target.depth() - 1}) {
      for (int row : new int[] {0, target.height() - 1}) {
        row(slice, row, positions);
        for (int axis = 0; axis < 3; axis++) {
          double first = positions[axis][0];
          double last = positions[axis][target.width() - 1];
          low[axis] = Math.min(low[axis], Math.min(first, last));
          high[axis] = Math.max(high[axis], Math.max(first, last));
        }
      }
    }
    int[] origin = new int[3];
    int[] extents = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      int last = source.along(axis) - 1;
      origin[axis] = Math.clamp((long) Math.floor(low[axis]) - margin, 0, last);
      extents[axis] = Math.clamp((long) Math.ceil(high[axis]) + margin, 0, last) - origin[axis] + 1;
    }
    return new Box(Extents.of(origin), Extents.of(extents));
  }
}
