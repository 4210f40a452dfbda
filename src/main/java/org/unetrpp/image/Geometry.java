package org.unetrpp.image;

import org.unetrpp.grid.Extents;

/**
 * The voxel grid of a volume.
 *
 * @param extents size in voxels; width is the axis i of a NIfTI file, the fastest in memory, depth
 *     its axis k
 * @param spacing distance of neighboring voxel centers as the file states it, in millimeters
 * @param affine from voxel index to millimeters
 */
public record Geometry(Extents extents, Spacing spacing, Affine affine) {
  private static final double SAME_MILLIMETERS = 1e-3;

  /**
   * @throws IllegalArgumentException if an extent or a spacing is not positive
   */
  public Geometry {
    for (int axis = 0; axis < 3; axis++) {
      if (extents.along(axis) < 1) {
        throw new IllegalArgumentException("extents " + extents + ", expected positive ones");
      }
      if (!(spacing.along(axis) > 0) || Double.isInfinite(spacing.along(axis))) {
        throw new IllegalArgumentException(spacing + ", expected positive millimeters");
      }
    }
  }

  /** A grid whose spacing is that of its affine. */
  public Geometry(Extents extents, Affine affine) {
    this(extents, affine.spacing(), affine);
  }

  /** Whether another grid has the same extents and, within rounding of files, the same place. */
  public boolean isCloseTo(Geometry other) {
    return extents.equals(other.extents) && affine.isCloseTo(other.affine, SAME_MILLIMETERS);
  }

  /** Throws IllegalArgumentException unless an array of this length holds one entry a voxel. */
  void requireLength(int length) {
    if (length != extents.voxels()) {
      throw new IllegalArgumentException(
          "%d voxels, expected %d for %s".formatted(length, extents.voxels(), extents));
    }
  }
}
