package org.unetrpp.image;

/**
 * A three-dimensional image of class labels from 0 to 255 in space.
 *
 * <p>The array of labels is handed on, not copied; nobody changes it once the volume exists.
 */
public final class LabelVolume implements OnGrid {
  private static final int LARGEST_LABEL = 255;

  private final Geometry geometry;
  private final byte[] labels;

  /**
   * @param geometry the voxel grid
   * @param labels unsigned labels (D, H, W), columns fastest; kept, not copied
   * @throws IllegalArgumentException if there is not one label a voxel
   */
  public LabelVolume(Geometry geometry, byte[] labels) {
    geometry.requireLength(labels.length);
    this.geometry = geometry;
    this.labels = labels;
  }

  /**
   * The labels that a file stored as numbers of whatever type.
   *
   * @throws IllegalArgumentException if a voxel is not a whole number from 0 to 255
   */
  public static LabelVolume of(Volume volume) {
    float[] voxels = volume.voxels();
    byte[] labels = new byte[voxels.length];
    for (int i = 0; i < labels.length; i++) {
      int label = (int) voxels[i];
      if (label != voxels[i] || label < 0 || label > LARGEST_LABEL) {
        throw new IllegalArgumentException(
            "voxel %d is %s, expected a label: a whole number from 0 to %d"
                .formatted(i, voxels[i], LARGEST_LABEL));
      }
      labels[i] = (byte) label;
    }
    return new LabelVolume(volume.geometry(), labels);
  }

  @Override
  public Geometry geometry() {
    return geometry;
  }

  /** Unsigned labels (D, H, W), columns fastest: the volume's own array, to be read only. */
  public byte[] labels() {
    return labels;
  }

  @Override
  public String toString() {
    return "LabelVolume[" + geometry + "]";
  }
}
