package org.unetrpp.bench.peers;

import java.util.List;
import java.util.stream.IntStream;

/** Summaries of repeated measurements. */
final class Statistics {
  private Statistics() {}

  /**
   * The middle value, or the mean of the two middle ones.
   *
   * @throws IllegalArgumentException if there are no values
   */
  static double median(List<Double> values) {
    if (values.isEmpty()) {
      throw new IllegalArgumentException("values are empty, expected one or more");
    }
    List<Double> sorted = values.stream().sorted().toList();
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }

  /**
   * Median and range of the ratios {@code times / otherTimes}, pair by pair.
   *
   * @throws IllegalArgumentException if the lists differ in length or are empty
   */
  static Results.Ratio ratio(
      String name, List<Double> times, String otherName, List<Double> otherTimes) {
    if (times.size() != otherTimes.size()) {
      throw new IllegalArgumentException(
          "%d times of %s, expected the %d of %s"
              .formatted(times.size(), name, otherTimes.size(), otherName));
    }
    List<Double> ratios =
        IntStream.range(0, times.size())
            .mapToObj(round -> times.get(round) / otherTimes.get(round))
            .sorted()
            .toList();
    return new Results.Ratio(name, otherName, median(ratios), ratios.getFirst(), ratios.getLast());
  }
}
