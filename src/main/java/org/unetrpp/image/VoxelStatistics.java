package org.unetrpp.image;

/** What the voxels of a file amount to, after scaling. */
public sealed interface VoxelStatistics {
  /** How many voxels are NaN or infinite; they are left out of the other numbers. */
  long nonFinite();

  /**
   * Of intensities, or of the bytes of colors.
   *
   * @param min the smallest; NaN if none is finite
   * @param max the largest; NaN if none is finite
   * @param sum of all
   */
  record Real(double min, double max, double sum, long nonFinite) implements VoxelStatistics {}

  /**
   * Of complex numbers.
   *
   * @param minMagnitude the smallest magnitude; NaN if none is finite
   * @param maxMagnitude the largest magnitude; NaN if none is finite
   * @param realSum of the real parts
   * @param imaginarySum of the imaginary parts
   */
  record Complex(
      double minMagnitude, double maxMagnitude, double realSum, double imaginarySum, long nonFinite)
      implements VoxelStatistics {}
}
