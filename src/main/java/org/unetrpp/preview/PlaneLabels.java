package org.unetrpp.preview;

import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;

/** Labels as they are looked at in a {@link Plane}: of a slice, or the nearest of all. */
public final class PlaneLabels {
  private final int columns;
  private final int rows;

  /** Unsigned labels (rows, columns), from the upper left corner. */
  private final byte[] labels;

  private PlaneLabels(int columns, int rows) {
    this.columns = columns;
    this.rows = rows;
    this.labels = new byte[columns * rows];
  }

  /** A slice by its index along the axis that stands on the plane. */
  public static PlaneLabels slice(LabelVolume volume, Plane plane, int slice) {
    PlaneLabels labels = over(volume.extents(), plane);
    labels.fill(volume, plane, slice);
    return labels;
  }

  /** The labels but background that lie closest to the viewer. */
  public static PlaneLabels nearest(LabelVolume volume, Plane plane) {
    PlaneLabels labels = over(volume.extents(), plane);
    int slices = volume.extents().along(plane.through());
    for (int i = 0; i < slices; i++) {
      labels.fill(volume, plane, plane.nearestIsLast() ? slices - 1 - i : i);
    }
    return labels;
  }

  private static PlaneLabels over(Extents extents, Plane plane) {
    return new PlaneLabels(extents.along(plane.columns()), extents.along(plane.rows()));
  }

  /** Takes the labels of a slice where there are none yet. */
  private void fill(LabelVolume volume, Plane plane, int slice) {
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        int place = row * columns + column;
        if (labels[place] == 0) {
          labels[place] = volume.labels()[plane.voxel(volume.extents(), slice, column, row)];
        }
      }
    }
  }

  /** A part of the plane. */
  public PlaneLabels within(PlaneBox box) {
    PlaneLabels part = new PlaneLabels(box.columns(), box.rows());
    for (int row = 0; row < part.rows; row++) {
      System.arraycopy(
          labels,
          (box.firstRow() + row) * columns + box.firstColumn(),
          part.labels,
          row * part.columns,
          part.columns);
    }
    return part;
  }

  /** The label of each pixel: that of its voxel. */
  public PixelLabels scaled(int width, int height) {
    int[] shown = new int[width * height];
    for (int y = 0; y < height; y++) {
      int row = (int) ((y + 0.5) * rows / height);
      for (int x = 0; x < width; x++) {
        int column = (int) ((x + 0.5) * columns / width);
        shown[y * width + x] = Byte.toUnsignedInt(labels[row * columns + column]);
      }
    }
    return new PixelLabels(width, height, shown);
  }
}
