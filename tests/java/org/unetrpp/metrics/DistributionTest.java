package org.unetrpp.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class DistributionTest {
  @Test
  void quantilesAreLinearBetweenRanksAndNaNDoesNotCount() {
    Distribution spread = Distribution.of(List.of(4.0, 1.0, Double.NaN, 2.0, 10.0));
    assertThat(spread.count()).isEqualTo(4);
    assertThat(spread.mean()).isEqualTo(4.25);
    assertThat(spread.smallest()).isEqualTo(1);
    assertThat(spread.lowerQuartile()).isEqualTo(1.75);
    assertThat(spread.median()).isEqualTo(3);
    assertThat(spread.upperQuartile()).isEqualTo(5.5);
    assertThat(spread.largest()).isEqualTo(10);
    // squares of -3.25, -2.25, -0.25 and 5.75 over 3
    assertThat(spread.deviation()).isCloseTo(Math.sqrt(48.75 / 3), within(1e-12));
  }

  @Test
  void oneValueHasNoDeviationAndNoneHasNothing() {
    assertThat(Distribution.of(List.of(0.5)).deviation()).isNaN();
    assertThat(Distribution.of(List.of(0.5)).upperQuartile()).isEqualTo(0.5);
    Distribution none = Distribution.of(List.of(Double.NaN));
    assertThat(none.count()).isZero();
    assertThat(none.mean()).isNaN();
    assertThat(none.median()).isNaN();
  }
}
