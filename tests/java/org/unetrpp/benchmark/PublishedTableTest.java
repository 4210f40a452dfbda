package org.unetrpp.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.benchmark.PublishedTable.Result;

class PublishedTableTest {
  private static final List<PublishedTable> TABLES = PublishedTable.all();

  private static Stream<Result> results(String data, String method) {
    return TABLES.stream()
        .filter(table -> table.data().equals(data))
        .flatMap(table -> table.results().stream())
        .filter(result -> result.method().equals(method));
  }

  @ParameterizedTest
  @CsvSource({
    "Synapse, 42.96, 47.98, 87.22, 7.53",
    "BraTS, 42.6, 70.1, 82.8,",
    "BTCV,,, 83.28,",
    "Decathlon Lung,,, 80.68,",
  })
  void figuresAreThoseOfTheAuthors(
      String data, Double parameters, Double multiplyAdds, Double dice, Double hd95) {
    Result own = results(data, PublishedTable.OWN_METHOD).findFirst().orElseThrow();
    assertThat(own.parameters()).isEqualTo(parameters);
    assertThat(own.multiplyAdds()).isEqualTo(multiplyAdds);
    assertThat(own.dice()).isEqualTo(dice);
    assertThat(own.hd95()).isEqualTo(hd95);
  }

  @Test
  void bothVersionsOfAContradictionStandWithTheirSource() {
    assertThat(results("ACDC", PublishedTable.OWN_METHOD).map(Result::dice))
        .containsExactly(90.73, 92.83);
    assertThat(
            TABLES.stream()
                .filter(table -> table.data().equals("ACDC"))
                .map(PublishedTable::source)
                .distinct())
        .hasSize(2);
  }

  @Test
  void everyTableNamesItsSourceAndNetwork() {
    assertThat(TABLES).hasSize(6);
    for (PublishedTable table : TABLES) {
      assertThat(table.source()).isNotBlank();
      assertThat(PublishedNetwork.of(table.variant())).isPresent();
      assertThat(table.own()).isPresent();
    }
  }

  /** Both are rounded to 0.01; other figures are wrong at their source, as remarks say. */
  @Test
  void meanDiceIsThatOfTheClasses() {
    for (PublishedTable table : TABLES) {
      for (Result result : table.results()) {
        boolean wrongAtSource =
            table.data().equals("BTCV")
                || (table.source().contains("ACDC, as the project's web site")
                    && result.method().equals("UNETR"));
        Double dice = result.dice();
        if (result.classDice() != null && dice != null && !wrongAtSource) {
          double mean =
              result.classDice().values().stream()
                  .mapToDouble(Double::doubleValue)
                  .average()
                  .orElseThrow();
          assertThat(Math.abs(mean - dice))
              .as("%s of %s", result.method(), table.source())
              .isLessThan(0.011);
        }
      }
    }
  }
}
