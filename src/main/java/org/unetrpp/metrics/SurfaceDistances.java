package org.unetrpp.metrics;

import java.util.Arrays;
import java.util.stream.DoubleStream;
import org.unetrpp.image.Spacing;
import org.unetrpp.mask.MaskRuns;
import org.unetrpp.pipeline.Workers;

/**
 * Distances between the surface voxels of two masks; what needs a surface that is not there is NaN.
 *
 * @param toReference of each surface voxel of the tested mask to the nearest of the reference
 * @param toTest of each surface voxel of the reference to the nearest of the tested mask
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record SurfaceDistances(double[] toReference, double[] toTest) {
  /** Of masks one of which has no surface. */
  static final SurfaceDistances NONE = new SurfaceDistances(new double[0], new double[0]);

  private static final double PERCENTILE = 0.95;
  private static final double SURFACE_DICE_EPSILON = 1e-8;

  /**
   * Distances between the surfaces of two masks that hold a voxel each.
   *
   * @param spacing distance of neighboring voxels, whose unit the distances have
   */
  static SurfaceDistances between(
      MaskRuns test, MaskRuns reference, Spacing spacing, Workers workers) {
    SurfaceVoxels tested = SurfaceVoxels.of(test, workers);
    SurfaceVoxels expected = SurfaceVoxels.of(reference, workers);
    return new SurfaceDistances(
        new DistanceTransform(expected, spacing).distancesFrom(tested, workers),
        new DistanceTransform(tested, spacing).distancesFrom(expected, workers));
  }

  double hausdorff() {
    return DoubleStream.concat(Arrays.stream(toReference), Arrays.stream(toTest))
        .max()
        .orElse(Double.NaN);
  }

  /** The percentile of both directions pooled, linear between ranks. */
  double hausdorff95() {
    double[] pooled = Arrays.copyOf(toReference, toReference.length + toTest.length);
    System.arraycopy(toTest, 0, pooled, toReference.length, toTest.length);
    return Selection.quantile(pooled, PERCENTILE);
  }

  double average() {
    return mean(toReference);
  }

  double averageSymmetric() {
    return (mean(toReference) + mean(toTest)) / 2;
  }

  double surfaceDice(double tolerance) {
    double near = shareWithin(tolerance, toReference) + shareWithin(tolerance, toTest);
    return near / (2 + SURFACE_DICE_EPSILON);
  }

  private static double mean(double[] distances) {
    return Arrays.stream(distances).average().orElse(Double.NaN);
  }

  private static double shareWithin(double tolerance, double[] distances) {
    return Arrays.stream(distances)
        .map(distance -> distance <= tolerance ? 1 : 0)
        .average()
        .orElse(Double.NaN);
  }
}
