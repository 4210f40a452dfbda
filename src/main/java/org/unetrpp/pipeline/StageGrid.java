package org.unetrpp.pipeline;

import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Spacing;

/**
 * Where the voxels of a stage lie in the image.
 *
 * @param extents size of the stage's volumes
 * @param toImage from the index (i, j, k) of a voxel to that in the image, not in millimeters
 */
public record StageGrid(Extents extents, Affine toImage) {
  /** The grid of the image itself. */
  public static StageGrid whole(Extents extents) {
    return new StageGrid(extents, Affine.ofSpacing(new Spacing(1, 1, 1)));
  }

  /** The same in space. */
  public Geometry in(Geometry image) {
    Affine affine = image.affine().after(toImage);
    return affine.equals(image.affine())
        ? new Geometry(extents, image.spacing(), affine)
        : new Geometry(extents, affine);
  }

  /** A part of this grid. */
  StageGrid box(Box box) {
    return moved(box.extents(), new double[] {1, 1, 1}, toDoubles(box.origin(), 1));
  }

  /** This grid with more voxels around. */
  StageGrid padded(Extents below, Extents to) {
    return moved(to, new double[] {1, 1, 1}, toDoubles(below, -1));
  }

  /** Other voxels over the same space. */
  StageGrid resized(Extents to) {
    double[] step = new double[3];
    double[] first = new double[3];
    for (int axis = 0; axis < 3; axis++) {
      step[axis] = (double) extents.along(axis) / to.along(axis);
      first[axis] = 0.5 * step[axis] - 0.5;
    }
    return moved(to, step, first);
  }

  /** The same voxels with their axes in another order. */
  StageGrid transposed(AxisOrder order) {
    double[] rows = new double[12];
    for (int axis = 0; axis < 3; axis++) {
      rows[4 * (2 - order.along(axis)) + 2 - axis] = 1;
    }
    return new StageGrid(order.apply(extents), toImage.after(Affine.ofRows(rows)));
  }

  private static double[] toDoubles(Extents extents, int sign) {
    return new double[] {sign * extents.depth(), sign * extents.height(), sign * extents.width()};
  }

  /** Voxel v of the result is voxel {@code step v + first} of this grid, along each axis. */
  private StageGrid moved(Extents to, double[] step, double[] first) {
    double[] rows = new double[12];
    for (int axis = 0; axis < 3; axis++) {
      int row = 2 - axis;
      rows[4 * row + row] = step[axis];
      rows[4 * row + 3] = first[axis];
    }
    return new StageGrid(to, toImage.after(Affine.ofRows(rows)));
  }
}
