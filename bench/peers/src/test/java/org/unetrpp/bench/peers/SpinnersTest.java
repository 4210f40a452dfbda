package org.unetrpp.bench.peers;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class SpinnersTest {
  @Test
  void workFromSpinToRest() throws InterruptedException {
    try (Spinners spinners = Spinners.start(2)) {
      spinners.spin();
      double start = spinners.cpuSeconds();
      for (int tries = 0; tries < 100 && spinners.cpuSeconds() < start + 0.2; tries++) {
        Thread.sleep(100);
      }
      assertThat(spinners.cpuSeconds()).isGreaterThanOrEqualTo(start + 0.2);
      spinners.rest();
      double rested = spinners.cpuSeconds();
      Thread.sleep(300);
      assertThat(spinners.cpuSeconds()).isLessThan(rested + 0.1);
    }
  }

  @Test
  void noneDoNothing() {
    try (Spinners spinners = Spinners.start(0)) {
      spinners.spin();
      assertThat(spinners.cpuSeconds()).isZero();
      spinners.rest();
    }
  }
}
