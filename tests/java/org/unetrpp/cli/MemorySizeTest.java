package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MemorySizeTest {
  @ParameterizedTest
  @CsvSource({
    "1, 1",
    "10b, 10",
    "1k, 1024",
    "900m, 943718400",
    "4g, 4294967296",
    "4G, 4294967296",
    "1.5GiB, 1610612736",
    "2tb, 2199023255552"
  })
  void unitsArePowersOf1024(String text, long bytes) {
    assertThat(MemorySize.parse(text)).isEqualTo(bytes);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "g", "4x", "-4g", "4 g", "1e9", "4gg", "0", "0.1", "99999999999t"})
  void otherTextsAreRefused(String text) {
    assertThatThrownBy(() -> MemorySize.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("memory size '" + text + "'");
  }

  @ParameterizedTest
  @CsvSource({"0, 0 bytes", "1023, 1023 bytes", "1536, 1.5 KiB", "4294967296, 4.0 GiB"})
  void sizesAreShownInTheLargestUnit(long bytes, String text) {
    assertThat(MemorySize.text(bytes)).isEqualTo(text);
  }
}
