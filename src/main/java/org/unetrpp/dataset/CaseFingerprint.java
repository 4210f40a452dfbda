package org.unetrpp.dataset;

import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/**
 * What planning needs to know of a case.
 *
 * @param id of the case
 * @param size after cropping to what is not zero
 * @param spacing in millimeters
 * @param sizeReduction voxels after cropping as a part of those before
 * @param orientation axis codes, such as RAS
 * @param samples for each channel intensities of every tenth foreground voxel; empty for a channel
 *     that needs none
 */
public record CaseFingerprint(
    String id,
    Extents size,
    Spacing spacing,
    double sizeReduction,
    String orientation,
    List<float[]> samples) {
  public CaseFingerprint {
    samples = List.copyOf(samples);
  }
}
