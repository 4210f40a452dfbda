package org.unetrpp.bench.peers;

import java.util.List;
import java.util.stream.IntStream;
import org.unetrpp.benchmark.Spread;

/** Summaries of repeated measurements. */
final class Statistics {
  private Statistics() {}

  /**
   * Spread of the ratios {@code times / otherTimes}, pair by pair.
   *
   * @throws IllegalArgumentException if the lists differ in length or are empty
   */
  static Spread ratios(List<Double> times, List<Double> otherTimes) {
    if (times.size() != otherTimes.size()) {
      throw new IllegalArgumentException(
          "%d times, expected the %d of the others".formatted(times.size(), otherTimes.size()));
    }
    return Spread.of(
        IntStream.range(0, times.size())
            .mapToObj(round -> times.get(round) / otherTimes.get(round))
            .toList());
  }

  /** The same, with the names of both. */
  static Results.Ratio ratio(
      String name, List<Double> times, String otherName, List<Double> otherTimes) {
    Spread spread = ratios(times, otherTimes);
    return new Results.Ratio(name, otherName, spread.median(), spread.smallest(), spread.largest());
  }
}
