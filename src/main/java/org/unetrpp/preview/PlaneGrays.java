package org.unetrpp.preview;

import java.util.Arrays;
import org.unetrpp.drawing.Colors;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Volume;

/** Intensities as they are looked at in a {@link Plane}: of a slice, or projected onto one. */
public final class PlaneGrays {
  private final int columns;
  private final int rows;

  /** (rows, columns), from the upper left corner. */
  private final float[] intensities;

  private PlaneGrays(int columns, int rows) {
    this.columns = columns;
    this.rows = rows;
    this.intensities = new float[columns * rows];
  }

  /** A slice by its index along the axis that stands on the plane. */
  public static PlaneGrays slice(Volume volume, Plane plane, int slice) {
    Extents extents = volume.extents();
    PlaneGrays grays = over(extents, plane);
    for (int row = 0; row < grays.rows; row++) {
      for (int column = 0; column < grays.columns; column++) {
        grays.intensities[row * grays.columns + column] =
            volume.voxels()[plane.voxel(extents, slice, column, row)];
      }
    }
    return grays;
  }

  /** The largest intensity of all slices; NaN does not count. */
  public static PlaneGrays largest(Volume volume, Plane plane) {
    PlaneGrays grays = over(volume.extents(), plane);
    Arrays.fill(grays.intensities, Float.NEGATIVE_INFINITY);
    for (int slice = 0; slice < volume.extents().along(plane.through()); slice++) {
      float[] own = slice(volume, plane, slice).intensities;
      for (int i = 0; i < own.length; i++) {
        if (own[i] > grays.intensities[i]) {
          grays.intensities[i] = own[i];
        }
      }
    }
    return grays;
  }

  private static PlaneGrays over(Extents extents, Plane plane) {
    return new PlaneGrays(extents.along(plane.columns()), extents.along(plane.rows()));
  }

  /** A part of the plane. */
  public PlaneGrays within(PlaneBox box) {
    PlaneGrays part = new PlaneGrays(box.columns(), box.rows());
    for (int row = 0; row < part.rows; row++) {
      System.arraycopy(
          intensities,
          (box.firstRow() + row) * columns + box.firstColumn(),
          part.intensities,
          row * part.columns,
          part.columns);
    }
    return part;
  }

  /** The window from the percentile 0.5 to 99.5. */
  public IntensityWindow window() {
    return IntensityWindow.ofPercentiles(intensities);
  }

  /** Colors of pixels (height, width), between voxels interpolated linearly. */
  public int[] scaled(int width, int height, IntensityWindow window) {
    int[] pixels = new int[width * height];
    for (int y = 0; y < height; y++) {
      double row = position(y, height, rows);
      for (int x = 0; x < width; x++) {
        double intensity = intensity(position(x, width, columns), row);
        pixels[y * width + x] = Colors.gray(window.gray(intensity));
      }
    }
    return pixels;
  }

  private double intensity(double column, double row) {
    int c = (int) column;
    int r = (int) row;
    int nextC = Math.min(c + 1, columns - 1);
    int nextR = Math.min(r + 1, rows - 1);
    double upper = between(at(c, r), at(nextC, r), column - c);
    double lower = between(at(c, nextR), at(nextC, nextR), column - c);
    return between(upper, lower, row - r);
  }

  private float at(int column, int row) {
    return intensities[row * columns + column];
  }

  private static double between(double from, double to, double fraction) {
    return from + (to - from) * fraction;
  }

  /** Where the center of a pixel lies between the centers of voxels. */
  private static double position(int pixel, int pixels, int voxels) {
    return Math.clamp((pixel + 0.5) * voxels / pixels - 0.5, 0, voxels - 1);
  }
}
