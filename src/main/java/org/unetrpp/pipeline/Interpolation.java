package org.unetrpp.pipeline;

/** How values between voxel centers are found. */
public enum Interpolation {
  /** The nearest voxel; order 0. */
  NEAREST,
  /** A straight line between neighbors along each axis; order 1. */
  LINEAR,
  /** A cubic, of the kind that {@link SplineRule} chooses; order 3. */
  CUBIC
}
