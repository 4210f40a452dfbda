package org.unetrpp.augmentation;

/**
 * How training patches are transformed; {@link #published} is what the published recipes do.
 *
 * @param sliceWise whether rotation, scaling and low resolution leave the slice axis alone ("dummy
 *     2-D"), as for slices much thicker than their voxels are wide
 * @param rotationProbability of a sample to be rotated
 * @param maxRotationDegrees largest angle about each axis; slice-wise about the slice axis
 * @param scalingProbability of a sample to be scaled
 * @param minScale smallest factor
 * @param maxScale largest factor
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
  /** The published transformations. */
  public static AugmentationSettings published(boolean sliceWise) {
    return new AugmentationSettings(sliceWise, 0.2, sliceWise ? 180 : 30, 0.2, 0.7, 1.4, true);
  }
}
