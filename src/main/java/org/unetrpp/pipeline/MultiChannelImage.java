package org.unetrpp.pipeline;

import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/**
 * The channels of one case on one grid.
 *
 * @param channels a volume of (D, H, W) for each channel, width fastest; not copied
 * @param extents size of each channel in voxels, below 2^31 in all
 * @param spacing voxel distances in millimeters
 */
public record MultiChannelImage(List<float[]> channels, Extents extents, Spacing spacing) {
  /** Checks that every channel fills the extents. */
  public MultiChannelImage {
    channels = List.copyOf(channels);
    if (channels.isEmpty()) {
      throw new IllegalArgumentException("an image without channels, expected at least one");
    }
    for (int axis = 0; axis < 3; axis++) {
      double millimeters = spacing.along(axis);
      if (extents.along(axis) < 1 || !(millimeters > 0) || Double.isInfinite(millimeters)) {
        throw new IllegalArgumentException(
            "image of %s voxels at %s, expected extents and finite spacings above 0"
                .formatted(extents, spacing));
      }
    }
    for (int channel = 0; channel < channels.size(); channel++) {
      int length = channels.get(channel).length;
      if (length != extents.voxels()) {
        throw new IllegalArgumentException(
            "channel %d has %d voxels, expected %d for %s"
                .formatted(channel, length, extents.voxels(), extents));
      }
    }
  }

  /**
   * Returns if every voxel is a finite number.
   *
   * @throws IllegalArgumentException naming the channel and index of the first that is not
   */
  public void requireFinite() {
    for (int channel = 0; channel < channels.size(); channel++) {
      float[] voxels = channels.get(channel);
      for (int voxel = 0; voxel < voxels.length; voxel++) {
        if (!Float.isFinite(voxels[voxel])) {
          int row = voxel / extents.width();
          throw new IllegalArgumentException(
              "channel %d is %s at voxel (%d, %d, %d), expected a finite number"
                  .formatted(
                      channel,
                      voxels[voxel],
                      row / extents.height(),
                      row % extents.height(),
                      voxel % extents.width()));
        }
      }
    }
  }
}
