package org.unetrpp.image;

import org.unetrpp.grid.Extents;

/**
 * A three-dimensional image of intensities in space, such as HU of a CT.
 *
 * <p>The array of voxels is handed on, not copied; nobody changes it once the volume exists.
 */
public final class Volume {
  private final Geometry geometry;
  private final float[] voxels;

  /**
   * @param geometry the voxel grid
   * @param voxels intensities (D, H, W), columns fastest; kept, not copied
   * @throws IllegalArgumentException if there is not one intensity a voxel
   */
  public Volume(Geometry geometry, float[] voxels) {
    geometry.requireLength(voxels.length);
    this.geometry = geometry;
    this.voxels = voxels;
  }

  /** The voxel grid. */
  public Geometry geometry() {
    return geometry;
  }

  /** Size in voxels. */
  public Extents extents() {
    return geometry.extents();
  }

  /** Distance of neighboring voxel centers in millimeters. */
  public Spacing spacing() {
    return geometry.spacing();
  }

  /** From voxel index to millimeters. */
  public Affine affine() {
    return geometry.affine();
  }

  /** Intensities (D, H, W), columns fastest: the volume's own array, to be read only. */
  public float[] voxels() {
    return voxels;
  }

  @Override
  public String toString() {
    return "Volume[" + geometry + "]";
  }
}
