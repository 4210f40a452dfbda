package org.unetrpp.image;

/**
 * A three-dimensional image of intensities in space, such as HU of a CT.
 *
 * <p>The array of voxels is handed on, not copied; nobody changes it once the volume exists.
 */
public final class Volume implements OnGrid {
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

  @Override
  public Geometry geometry() {
    return geometry;
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
