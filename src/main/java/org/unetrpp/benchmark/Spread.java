package org.unetrpp.benchmark;

import java.util.List;

/**
 * A summary of repeated measurements.
 *
 * @param median the middle value, or the mean of the two middle ones
 */
public record Spread(double median, double smallest, double largest) {
  /**
   * Summarizes values.
   *
   * @throws IllegalArgumentException if there are none
   */
  public static Spread of(List<Double> values) {
    if (values.isEmpty()) {
      throw new IllegalArgumentException("values are empty, expected one or more");
    }
    List<Double> sorted = values.stream().sorted().toList();
    int middle = sorted.size() / 2;
    double median =
        sorted.size() % 2 == 1
            ? sorted.get(middle)
            : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
    return new Spread(median, sorted.getFirst(), sorted.getLast());
  }
}
