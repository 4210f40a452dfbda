package org.unetrpp.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SelectionTest {
  @ParameterizedTest(name = "{0} values of {1} kinds")
  @CsvSource({"1, 1", "2, 2", "7, 1", "100, 3", "1000, 1000000", "999, 20"})
  void valueOfEachRankIsThatAfterSorting(int count, int kinds) {
    Random random = new Random(count);
    double[] values = random.ints(count, 0, kinds).asDoubleStream().toArray();
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    for (int rank = 0; rank < count; rank++) {
      double[] moved = values.clone();
      double selected = Selection.select(moved, rank);
      assertThat(selected).isEqualTo(sorted[rank]);
      assertThat(Arrays.stream(moved, 0, rank)).allMatch(value -> value <= selected);
      assertThat(Arrays.stream(moved, rank, count)).allMatch(value -> value >= selected);
    }
  }
}
