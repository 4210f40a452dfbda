package org.unetrpp.planning;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class ScheduleTest {
  private static final Schedule PUBLISHED = new Schedule(1000, 250, 50, 2, 0.33, 12345);

  private static Schedule with(int iterations) {
    return PUBLISHED.with(
        new PlanOptions(1, null, OptionalInt.of(3), OptionalInt.of(7), OptionalInt.of(iterations)));
  }

  @Test
  void validationKeepsItsProportion() {
    assertThat(with(100)).isEqualTo(new Schedule(7, 100, 20, 3, 0.33, 12345));
    assertThat(with(3).validationIterations()).isEqualTo(1);
    assertThat(PUBLISHED.with(PlanOptions.within(1))).isEqualTo(PUBLISHED);
  }
}
