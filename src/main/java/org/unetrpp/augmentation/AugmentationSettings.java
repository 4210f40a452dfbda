package org.unetrpp.augmentation;

/**
 * How training patches are transformed; {@link #published} is what the published recipes do.
 *
 * @param sliceWise whether rotation, scaling and low resolution leave the slice axis alone ("dummy
 *     2-D"), as for slices much thicker than their voxels are wide
 * @param rotationProbability of a sample to be rotated
 * @param maxRotationDegrees largest angle about each axis; slice-wise about the slice axis
 * @param scalingProbability of a sample to be scaled
 * @param minScale smallest factor of the coordinates, from above 0 to 1; below 1 enlarges what is
 *     seen
 * @param maxScale largest factor of the coordinates, from 1 on
 * @param mirroring whether each axis is mirrored with a probability of one half
 */
public record AugmentationSettings(
    boolean sliceWise,
    double rotationProbability,
    double maxRotationDegrees,
    double scalingProbability,
    double minScale,
    double maxScale,
    boolean mirroring) {
  /** Checks the ranges. */
  public AugmentationSettings {
    require("rotationProbability", rotationProbability, 0, 1);
    require("maxRotationDegrees", maxRotationDegrees, 0, 180);
    require("scalingProbability", scalingProbability, 0, 1);
    if (!(minScale > 0 && minScale <= 1)) {
      throw new IllegalArgumentException(
          "minScale is " + minScale + ", expected a number above 0 and at most 1");
    }
    if (!(maxScale >= 1 && maxScale < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "maxScale is " + maxScale + ", expected a finite number from 1");
    }
  }

  /** The published transformations. */
  public static AugmentationSettings published(boolean sliceWise) {
    return new AugmentationSettings(sliceWise, 0.2, sliceWise ? 180 : 30, 0.2, 0.7, 1.4, true);
  }

  private static void require(String name, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
      throw new IllegalArgumentException(
          "%s is %s, expected a number from %s to %s".formatted(name, value, low, high));
    }
  }
}
