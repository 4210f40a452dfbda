package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BFloat16Test {
  @Test
  void everyNumberSurvivesAsAFloat() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = BFloat16.toFloat((short) bits);
      if (!Float.isNaN(value)) {
        assertThat(BFloat16.fromFloat(value)).isEqualTo((short) bits);
      }
    }
  }

  @ParameterizedTest(name = "{0} to {1}")
  @CsvSource({
    "1.0, 1.0",
    "1.00390625, 1.0", // half way, to even
    "1.01171875, 1.015625", // half way, to even
    "1.0039064, 1.0078125",
    "-1.0039064, -1.0078125",
    "3.4028235E38, Infinity",
    "3.3895314E38, 3.3895314E38",
    "1.4E-45, 0.0",
    "-Infinity, -Infinity"
  })
  void valuesGoToTheNearest(float value, float nearest) {
    assertThat(BFloat16.toFloat(BFloat16.fromFloat(value))).isEqualTo(nearest);
  }

  @Test
  void noNanBecomesANumber() {
    for (int low = 1; low < 1 << 16; low += 257) {
      float value = Float.intBitsToFloat(0x7F800000 | low);
      assertThat(BFloat16.toFloat(BFloat16.fromFloat(value))).isNaN();
    }
  }
}
