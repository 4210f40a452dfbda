package org.unetrpp.dataset;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LegacyShuffleTest {
  private static int[] first(int count, int of) {
    int[] values = IntStream.range(0, of).toArray();
    new LegacyShuffle(1234).shuffle(values);
    return Arrays.copyOf(values, count);
  }

  @Test
  void drawsWhatTheLegacyGeneratorOfNumPyDraws() {
    assertThat(first(4, 10)).containsExactly(7, 2, 9, 1);
    assertThat(first(5, 30)).containsExactly(7, 10, 4, 1, 28);
  }

  @Test
  void fewerThanTwoValuesNeedNoDraw() {
    assertThat(first(0, 0)).isEmpty();
    assertThat(first(1, 1)).containsExactly(0);
  }
}
