package org.unetrpp.figure;

import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.preview.Plane;
import org.unetrpp.preview.PlaneBox;

/** The part of a plane around the labels of a case. */
final class Zoom {
  /** Size of the part beside that of the labels. */
  private static final double AROUND = 1.6;

  /** A part is at least this share of the plane, for what lies around a small lesion. */
  private static final double LEAST_SHARE = 0.3;

  /** The shorter side of a part is at least this share of the longer where the plane allows. */
  private static final double LEAST_RATIO = 0.8;

  /** What takes this share of the plane is no part of it. */
  private static final double LARGEST_SHARE = 0.75;

  private Zoom() {}

  /** The whole plane. */
  static PlaneBox whole(Extents extents, Plane plane) {
    return new PlaneBox(0, 0, extents.along(plane.columns()), extents.along(plane.rows()));
  }

  /** A part around all labels of both volumes, or the whole plane where it would not be smaller. */
  static PlaneBox of(ComparedCase compared, Plane plane) {
    PlaneBox whole = whole(compared.reference().extents(), plane);
    int[] columns = {whole.columns(), -1};
    int[] rows = {whole.rows(), -1};
    spread(compared.reference(), plane, columns, rows);
    spread(compared.prediction(), plane, columns, rows);
    if (columns[1] < 0) {
      return whole;
    }
    double column = compared.reference().spacing().along(plane.columns());
    double row = compared.reference().spacing().along(plane.rows());
    double across = wanted(columns, whole.columns()) * column;
    double down = wanted(rows, whole.rows()) * row;
    int width = length(Math.max(across, LEAST_RATIO * down) / column, whole.columns());
    int height = length(Math.max(down, LEAST_RATIO * across) / row, whole.rows());
    if (width >= LARGEST_SHARE * whole.columns() && height >= LARGEST_SHARE * whole.rows()) {
      return whole;
    }
    return new PlaneBox(
        first(columns, width, whole.columns()), first(rows, height, whole.rows()), width, height);
  }

  /** Widens the ranges {first, last} of columns and rows by those that hold labels. */
  private static void spread(LabelVolume volume, Plane plane, int[] columns, int[] rows) {
    Extents extents = volume.extents();
    for (int slice = 0; slice < extents.along(plane.through()); slice++) {
      for (int row = 0; row < extents.along(plane.rows()); row++) {
        for (int column = 0; column < extents.along(plane.columns()); column++) {
          if (volume.labels()[plane.voxel(extents, slice, column, row)] != 0) {
            columns[0] = Math.min(columns[0], column);
            columns[1] = Math.max(columns[1], column);
            rows[0] = Math.min(rows[0], row);
            rows[1] = Math.max(rows[1], row);
          }
        }
      }
    }
  }

  /** Voxels that a part should have for a range of labels. */
  private static double wanted(int[] range, int all) {
    return Math.max(AROUND * (range[1] - range[0] + 1), LEAST_SHARE * all);
  }

  private static int length(double wanted, int all) {
    return (int) Math.min(all, Math.ceil(wanted));
  }

  private static int first(int[] range, int length, int all) {
    return Math.clamp((range[0] + range[1] + 1 - length) / 2, 0, all - length);
  }
}
