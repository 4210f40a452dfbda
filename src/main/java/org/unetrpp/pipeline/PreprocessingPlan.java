package org.unetrpp.pipeline;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.image.Spacing;

/**
 * How images are prepared for one network: what a plan file says about it.
 *
 * @param channels one for each channel of the image, in its order
 * @param targetSpacing voxel distances that the network sees, in millimeters, in the
 *     <em>transposed</em> order of axes, as {@code current_spacing} in plan files; null to leave
 *     images at their own
 * @param transposeForward order of axes that the network sees
 * @param splineRule which cubic resamples the image
 */
public record PreprocessingPlan(
    List<ChannelPlan> channels,
    @Nullable Spacing targetSpacing,
    AxisOrder transposeForward,
    SplineRule splineRule) {
  /** Checks that there are channels and that the spacing is above 0. */
  public PreprocessingPlan {
    channels = List.copyOf(channels);
    if (channels.isEmpty()) {
      throw new IllegalArgumentException("a plan without channels, expected at least one");
    }
    for (int axis = 0; targetSpacing != null && axis < 3; axis++) {
      double millimeters = targetSpacing.along(axis);
      if (!(millimeters > 0) || Double.isInfinite(millimeters)) {
        throw new IllegalArgumentException(
            "target spacing %s, expected finite values above 0".formatted(targetSpacing));
      }
    }
  }

  /**
   * Voxel distances that the network sees of an image.
   *
   * @param transposed those of the image, in the transposed order of axes
   */
  public Spacing targetFor(Spacing transposed) {
    return targetSpacing == null ? transposed : targetSpacing;
  }

  /** Whether the mask of any channel counts. */
  boolean usesMask() {
    return channels.stream().anyMatch(ChannelPlan::useMask);
  }
}
