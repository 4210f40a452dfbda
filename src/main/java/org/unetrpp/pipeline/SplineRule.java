package org.unetrpp.pipeline;

/**
 * Which cubic stands behind {@link Interpolation#CUBIC}. The published models were trained on
 * images that scikit-image 0.18.1 had resampled; from version 0.19 on, the same program computes
 * another cubic for most of them. The rule belongs to a model, since a network sees at inference
 * what it saw in training.
 */
public enum SplineRule {
  /**
   * As in scikit-image 0.18.1: Catmull-Rom convolution (a = -1/2) slice by slice and where the last
   * axis keeps its length, the interpolating B-spline elsewhere.
   */
  PINNED,
  /** As from scikit-image 0.19 on: the interpolating B-spline everywhere. */
  BSPLINE
}
