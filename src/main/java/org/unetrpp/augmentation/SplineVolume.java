package org.unetrpp.augmentation;

import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.Box;
import org.unetrpp.pipeline.CubicSpline;

/**
 * The cubic B-spline through a part of a channel, or slice-wise the splines through its slices.
 *
 * <p>Coefficients and their neighbors past the borders are those of lines mirrored about their end
 * voxels. Where the part ends inside of the channel, that is wrong by a share that falls as
 * 0.27^distance: at {@link #MARGIN} voxels from there it is below what a float can hold.
 */
final class SplineVolume {
  /** How far a part reaches past where it is asked for values. */
  static final int MARGIN = 16;

  /** Lines that go along the width together. */
  private static final int LANES = 64;

  private final Box part;
  private final boolean sliceWise;
  private final int rowsOfSlice;

  /**
   * (D + 3, H + 3) rows of W + 3; slice-wise (D, H + 3). One mirrored entry lies before, two after.
   */
  private final double[][] rows;

  private final double[] depthWeights;
  private final double[] heightWeights = new double[4];
  private final double[] widthWeights = new double[4];

  /**
   * Filters a part.
   *
   * @param image holds the channel
   * @param first index of the channel's first voxel
   * @param extents of the channel
   * @param part of the channel
   * @param sliceWise whether each slice has a spline of its own
   */
  SplineVolume(float[] image, int first, Extents extents, Box part, boolean sliceWise) {
    this.part = part;
    this.sliceWise = sliceWise;
    this.rowsOfSlice = part.extents().height() + 3;
    this.depthWeights = sliceWise ? new double[] {1} : new double[4];
    double[][][] volume = copy(image, first, extents, part);
    filter(volume, sliceWise);
    this.rows = mirrored(volume, sliceWise);
  }

  /** (D, H) rows of W + 3, with the voxels from column 1 on. */
  private static double[][][] copy(float[] image, int first, Extents extents, Box part) {
    Extents size = part.extents();
    double[][][] volume = new double[size.depth()][size.height()][size.width() + 3];
    for (int slice = 0; slice < size.depth(); slice++) {
      for (int row = 0; row < size.height(); row++) {
        int line =
            (part.origin().depth() + slice) * extents.height() + part.origin().height() + row;
        int start = first + line * extents.width() + part.origin().width();
        double[] target = volume[slice][row];
        for (int column = 0; column < size.width(); column++) {
          target[column + 1] = image[start + column];
        }
      }
    }
    return volume;
  }

  private static void filter(double[][][] volume, boolean sliceWise) {
    int lanes = volume[0][0].length;
    if (!sliceWise) {
      double[][] line = new double[volume.length][];
      for (int row = 0; row < volume[0].length; row++) {
        for (int slice = 0; slice < line.length; slice++) {
          line[slice] = volume[slice][row];
        }
        CubicSpline.mirroredCoefficients(line, lanes);
      }
    }
    double[][] tile = new double[lanes - 3][LANES];
    for (double[][] slice : volume) {
      CubicSpline.mirroredCoefficients(slice, lanes);
      for (int row = 0; row < slice.length; row += LANES) {
        filterRows(slice, row, Math.min(LANES, slice.length - row), tile);
      }
    }
  }

  private static void filterRows(double[][] slice, int firstRow, int count, double[][] tile) {
    for (int lane = 0; lane < count; lane++) {
      double[] row = slice[firstRow + lane];
      for (int column = 0; column < tile.length; column++) {
        tile[column][lane] = row[column + 1];
      }
    }
    CubicSpline.mirroredCoefficients(tile, count);
    for (int lane = 0; lane < count; lane++) {
      double[] row = slice[firstRow + lane];
      for (int column = 0; column < tile.length; column++) {
        row[column + 1] = tile[column][lane];
      }
      for (int column : new int[] {-1, tile.length, tile.length + 1}) {
        row[column + 1] = row[mirror(column, tile.length) + 1];
      }
    }
  }

  private static double[][] mirrored(double[][][] volume, boolean sliceWise) {
    int before = sliceWise ? 0 : 1;
    int slices = sliceWise ? volume.length : volume.length + 3;
    int height = volume[0].length;
    double[][] rows = new double[slices * (height + 3)][];
    for (int slice = 0; slice < slices; slice++) {
      for (int row = 0; row < height + 3; row++) {
        rows[slice * (height + 3) + row] =
            volume[mirror(slice - before, volume.length)][mirror(row - 1, height)];
      }
    }
    return rows;
  }

  /** The index from 0 to {@code length - 1} that an index past them is the mirror image of. */
  private static int mirror(int index, int length) {
    if (length == 1) {
      return 0;
    }
    int period = 2 * (length - 1);
    int folded = Math.floorMod(index, period);
    return folded < length ? folded : period - folded;
  }

  /**
   * The value at a position between the first and last voxels of the channel, and inside of the
   * part.
   */
  double at(double depth, double height, double width) {
    int slice = base(0, depth, depthWeights);
    int row = base(1, height, heightWeights);
    int column = base(2, width, widthWeights);
    double sum = 0;
    for (int a = 0; a < depthWeights.length; a++) {
      int firstRow = (slice + a) * rowsOfSlice + row;
      double ofSlice = 0;
      for (int b = 0; b < 4; b++) {
        double[] line = rows[firstRow + b];
        ofSlice +=
            heightWeights[b]
                * (widthWeights[0] * line[column]
                    + widthWeights[1] * line[column + 1]
                    + widthWeights[2] * line[column + 2]
                    + widthWeights[3] * line[column + 3]);
      }
      sum += depthWeights[a] * ofSlice;
    }
    return sum;
  }

  /** The first of the entries around a position, and their weights. */
  private int base(int axis, double position, double[] weights) {
    double local = position - part.origin().along(axis);
    int base = (int) local;
    if (axis > 0 || !sliceWise) {
      CubicSpline.weights(local - base, weights);
    }
    return base;
  }
}
