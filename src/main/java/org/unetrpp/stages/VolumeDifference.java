package org.unetrpp.stages;

import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;

/**
 * How a volume of one run differs from that of another.
 *
 * @param volume name of the volume in its stage
 * @param grid how shapes or affines differ, or null if they do not
 * @param voxels how many were compared; 0 where shapes differ
 * @param differing how many of them differ by more than the tolerance
 * @param largestAbsolute largest difference of two values; infinite if one alone is no number
 * @param largestRelative largest difference as a part of the larger magnitude of the two values
 * @param first the first voxel that differs by more than the tolerance
 * @param largest the voxel of the largest difference
 */
public record VolumeDifference(
    String volume,
    @Nullable String grid,
    long voxels,
    long differing,
    double largestAbsolute,
    double largestRelative,
    @Nullable Place first,
    @Nullable Place largest) {
  private static final double SAME_MILLIMETERS = 1e-3;

  /**
   * A voxel at which runs differ.
   *
   * @param index of the voxel
   * @param millimeters to the right, anterior and superior; null if neither run knows
   * @param a value of the first run
   * @param b value of the second run
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  public record Place(Extents index, double @Nullable [] millimeters, float a, float b) {}

  /** Whether the runs agree on this volume. */
  public boolean isEqual() {
    return grid == null && differing == 0;
  }

  /**
   * Compares two volumes.
   *
   * @param tolerance by which values may differ
   */
  static VolumeDifference of(
      String name, StoredStages.Stored a, StoredStages.Stored b, double tolerance) {
    if (!a.extents().equals(b.extents())) {
      String shapes = "shapes differ: %s | %s".formatted(a.extents(), b.extents());
      return new VolumeDifference(name, shapes, 0, 0, 0, 0, null, null);
    }
    Affine affine = a.affine() == null ? b.affine() : a.affine();
    boolean samePlace =
        a.affine() == null
            || b.affine() == null
            || a.affine().isCloseTo(b.affine(), SAME_MILLIMETERS);
    String grid = samePlace ? null : "affines differ: %s | %s".formatted(a.affine(), b.affine());
    float[] x = a.voxels();
    float[] y = b.voxels();
    long differing = 0;
    int first = -1;
    int largest = -1;
    double absolute = 0;
    double relative = 0;
    for (int voxel = 0; voxel < x.length; voxel++) {
      double difference = difference(x[voxel], y[voxel]);
      if (difference > absolute) {
        absolute = difference;
        largest = voxel;
      }
      if (difference > 0) {
        relative = Math.max(relative, relative(difference, x[voxel], y[voxel]));
      }
      if (difference > tolerance) {
        differing++;
        first = first < 0 ? voxel : first;
      }
    }
    return new VolumeDifference(
        name,
        grid,
        x.length,
        differing,
        absolute,
        relative,
        place(first, a, b, affine),
        place(largest, a, b, affine));
  }

  /** Infinite where one value is no number and the other is another or a number. */
  private static double difference(float x, float y) {
    if (x == y || (Float.isNaN(x) && Float.isNaN(y))) {
      return 0;
    }
    double difference = Math.abs((double) x - y);
    return Double.isNaN(difference) ? Double.POSITIVE_INFINITY : difference;
  }

  private static double relative(double difference, float x, float y) {
    return Double.isInfinite(difference)
        ? difference
        : difference / Math.max(Math.abs(x), Math.abs(y));
  }

  private static @Nullable Place place(
      int voxel, StoredStages.Stored a, StoredStages.Stored b, @Nullable Affine affine) {
    if (voxel < 0) {
      return null;
    }
    Extents extents = a.extents();
    int row = voxel / extents.width();
    Extents index =
        new Extents(row / extents.height(), row % extents.height(), voxel % extents.width());
    double[] millimeters =
        affine == null ? null : affine.apply(index.width(), index.height(), index.depth());
    return new Place(index, millimeters, a.voxels()[voxel], b.voxels()[voxel]);
  }
}
