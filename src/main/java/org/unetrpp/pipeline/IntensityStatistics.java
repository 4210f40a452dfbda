package org.unetrpp.pipeline;

/**
 * What the foreground voxels of a training set look like in one channel, in the channel's units (HU
 * for CT).
 *
 * @param mean their mean
 * @param sd their population standard deviation, above 0
 * @param percentile005 the value that 0.5 % of them lie below
 * @param percentile995 the value that 99.5 % of them lie below
 */
public record IntensityStatistics(
    double mean, double sd, double percentile005, double percentile995) {
  /** Checks that the values are finite, the deviation above 0 and the percentiles in order. */
  public IntensityStatistics {
    boolean finite =
        Double.isFinite(mean)
            && Double.isFinite(sd)
            && Double.isFinite(percentile005)
            && Double.isFinite(percentile995);
    if (!finite || sd <= 0 || percentile005 > percentile995) {
      throw new IllegalArgumentException(
          "mean %s, sd %s, percentiles %s and %s, expected finite values, sd above 0, percentiles in order"
              .formatted(mean, sd, percentile005, percentile995));
    }
  }
}
