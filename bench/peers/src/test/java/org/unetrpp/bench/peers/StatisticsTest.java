package org.unetrpp.bench.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import org.junit.jupiter.api.Test;

final class StatisticsTest {
  @Test
  void ratiosAreOfTheSameRound() {
    Results.Ratio ratio =
        Statistics.ratio("a", List.of(4.0, 9.0, 5.0), "b", List.of(2.0, 3.0, 2.0));

    assertThat(ratio).isEqualTo(new Results.Ratio("a", "b", 2.5, 2, 3));
  }

  @Test
  void rejectsTimesWithoutAPartner() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Statistics.ratio("a", List.of(1.0), "b", List.of()))
        .withMessage("1 times, expected the 0 of the others");
  }
}
