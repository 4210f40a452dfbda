package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LearningRateTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0.01",
    "1, 0.0099909995",
    "10, 0.0099099548",
    "100, 0.0090953258",
    "500, 0.0053588673",
    "900, 0.0012589254",
    "999, 0.0000199526",
    "1000, 0"
  })
  void fallsAsInThePublishedRecipe(int epoch, double expected) {
    double lastDigit = 0.5e-10;
    assertThat(LearningRate.of(0.01, epoch, 1000)).isCloseTo(expected, within(lastDigit));
  }
}
