package org.unetrpp.pipeline;

import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/**
 * Where a preprocessed case comes from, and so the way back to the grid of its image.
 *
 * @param original size of the image
 * @param originalSpacing voxel distances of the image
 * @param crop the part of the image that was kept
 * @param transposeForward order of the axes of what the network sees
 * @param resampled size of what the network sees, in its order of axes
 * @param resampledSpacing voxel distances of what the network sees, in its order of axes
 */
public record CaseGeometry(
    Extents original,
    Spacing originalSpacing,
    Box crop,
    AxisOrder transposeForward,
    Extents resampled,
    Spacing resampledSpacing) {
  /** Checks that the crop lies in the image. */
  public CaseGeometry {
    if (!crop.fits(original)) {
      throw new IllegalArgumentException("%s, expected inside of %s".formatted(crop, original));
    }
  }
}
