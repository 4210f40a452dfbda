package org.unetrpp.image;

import org.unetrpp.grid.Extents;

/** Something with a value for each voxel of a grid. */
public sealed interface OnGrid permits Volume, LabelVolume {
  /** The voxel grid. */
  Geometry geometry();

  /** Size in voxels. */
  default Extents extents() {
    return geometry().extents();
  }

  /** Distance of neighboring voxel centers in millimeters. */
  default Spacing spacing() {
    return geometry().spacing();
  }

  /** From voxel index to millimeters. */
  default Affine affine() {
    return geometry().affine();
  }
}
