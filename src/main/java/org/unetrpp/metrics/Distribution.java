package org.unetrpp.metrics;

import java.util.Arrays;
import java.util.Collection;

/**
 * How a metric is spread over cases; what is undefined does not count. Quantiles are linear between
 * ranks.
 *
 * @param count how many values count
 * @param mean NaN without values, as all below
 * @param deviation standard deviation of a sample, with n - 1; NaN of a single value
 * @param smallest of the values
 * @param lowerQuartile a quarter of the values is below
 * @param median half of them is below
 * @param upperQuartile three quarters of them are below
 * @param largest of the values
 */
public record Distribution(
    int count,
    double mean,
    double deviation,
    double smallest,
    double lowerQuartile,
    double median,
    double upperQuartile,
    double largest) {
  /** The distribution of values, of which NaN do not count. */
  public static Distribution of(Collection<Double> values) {
    double[] sorted =
        values.stream().mapToDouble(Double::doubleValue).filter(v -> !Double.isNaN(v)).toArray();
    Arrays.sort(sorted);
    double mean = Arrays.stream(sorted).average().orElse(Double.NaN);
    double squares = Arrays.stream(sorted).map(value -> (value - mean) * (value - mean)).sum();
    double deviation = sorted.length > 1 ? Math.sqrt(squares / (sorted.length - 1)) : Double.NaN;
    return new Distribution(
        sorted.length,
        mean,
        deviation,
        quantile(sorted, 0),
        quantile(sorted, 0.25),
        quantile(sorted, 0.5),
        quantile(sorted, 0.75),
        quantile(sorted, 1));
  }

  /** A quantile of sorted values, linear between ranks; NaN of none. */
  static double quantile(double[] sorted, double share) {
    if (sorted.length == 0) {
      return Double.NaN;
    }
    double position = share * (sorted.length - 1);
    int below = (int) position;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
  }
}
