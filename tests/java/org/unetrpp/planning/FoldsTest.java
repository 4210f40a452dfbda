package org.unetrpp.planning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FoldsTest {
  private static List<String> ids(String numbers) {
    return Arrays.stream(numbers.split(", ")).toList();
  }

  @Test
  void thirtyAbdominalCasesAreDividedAsPublished() {
    List<String> cases =
        new ArrayList<>(
            IntStream.concat(IntStream.rangeClosed(1, 10), IntStream.rangeClosed(21, 40))
                .mapToObj("%04d"::formatted)
                .toList());
    Collections.reverse(cases);
    assertThat(Folds.of(cases))
        .extracting(Fold::validation)
        .containsExactly(
            ids("0004, 0009, 0023, 0026, 0029, 0037"),
            ids("0001, 0007, 0008, 0031, 0032, 0035"),
            ids("0021, 0022, 0024, 0030, 0033, 0034"),
            ids("0025, 0027, 0028, 0036, 0038, 0040"),
            ids("0002, 0003, 0005, 0006, 0010, 0039"));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 5, 7, 23})
  void everyCaseIsHeldBackOnce(int count) {
    List<String> cases = IntStream.range(0, count).mapToObj("%02d"::formatted).toList();
    List<Fold> folds = Folds.of(cases);
    assertThat(folds).hasSize(Math.min(5, count));
    assertThat(folds.stream().flatMap(fold -> fold.validation().stream()))
        .containsExactlyInAnyOrderElementsOf(cases);
    for (Fold fold : folds) {
      assertThat(fold.training()).doesNotContainAnyElementsOf(fold.validation()).isSorted();
      assertThat(fold.training().size() + fold.validation().size()).isEqualTo(count);
    }
    assertThat(folds.getFirst().validation()).hasSize(Math.ceilDiv(count, 5));
  }

  @Test
  void singleCaseIsTrainedOnAndHeldBack() {
    assertThat(Folds.of(List.of("a"))).containsExactly(new Fold(List.of("a"), List.of("a")));
    assertThatThrownBy(() -> Folds.of(List.of())).hasMessageContaining("no cases");
  }

  @Test
  void foldsKeepTheCasesThatAreThere() {
    List<Fold> folds = List.of(new Fold(List.of("a", "b", "c"), List.of("d", "e")));
    assertThat(Folds.among(folds, List.of("e", "b", "x")))
        .containsExactly(new Fold(List.of("b"), List.of("e")));
    assertThatThrownBy(() -> Folds.among(folds, List.of("a", "b", "x", "y", "z")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a fold holds back d, e, none of which is there, only a, b, x and 2 more");
    assertThatThrownBy(() -> Folds.among(folds, List.of("d")))
        .hasMessageStartingWith("a fold trains on a, b, c, none of which is there");
  }
}
