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
    double[] counted =
        values.stream().mapToDouble(Double::doubleValue).filter(v -> !Double.isNaN(v)).toArray();
    double mean = Arrays.stream(counted).average().orElse(Double.NaN);
    double squares = Arrays.stream(counted).map(value -> (value - mean) * (value - mean)).sum();
    double deviation = counted.length > 1 ? Math.sqrt(squares / (counted.length - 1)) : Double.NaN;
    return new Distribution(
        counted.length,
        mean,
        deviation,
        Selection.quantile(counted, 0),
        Selection.quantile(counted, 0.25),
        Selection.quantile(counted, 0.5),
        Selection.quantile(counted, 0.75),
        Selection.quantile(counted, 1));
  }
}
