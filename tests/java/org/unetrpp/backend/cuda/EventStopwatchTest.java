package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

class EventStopwatchTest {
  @Test
  void oneRunIsTimed() {
    try (EmulatedDriver driver = new EmulatedDriver(0)) {
      Stopwatch stopwatch = new EventStopwatch(driver, driver.createStream());
      AtomicInteger runs = new AtomicInteger();
      double millis =
          stopwatch.millis(() -> {
            runs.incrementAndGet();
            long end = System.nanoTime() + 500_000;
            while (System.nanoTime() < end) {
              LockSupport.parkNanos(end - System.nanoTime());
            }
          });
      assertThat(millis).isBetween(0.5, 5.0); // a busy machine is slower
      assertThat(runs.get()).isBetween(1 + 3, 1 + 3 * 4);
    }
  }
}
