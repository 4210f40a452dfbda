package org.unetrpp.augmentation;

import org.unetrpp.grid.Extents;

/**
 * A part of a prepared case.
 *
 * @param channels C
 * @param extents D, H, W
 * @param image (C, D, H, W)
 * @param labels class of each voxel, (D, H, W); -1 outside of the case or of its mask
 */
public record Patch(int channels, Extents extents, float[] image, short[] labels) {
  public Patch {
    if (labels.length != extents.voxels() || image.length != channels * extents.voxels()) {
      throw new IllegalArgumentException(
          "%d intensities and %d labels for %d channels of %s voxels"
              .formatted(image.length, labels.length, channels, extents));
    }
  }
}
