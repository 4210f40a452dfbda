package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkersTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void everyIndexIsDoneOnce(int threads) {
    AtomicIntegerArray calls = new AtomicIntegerArray(1000);
    try (Workers workers = Workers.of(threads)) {
      workers.forEach(1000, calls::incrementAndGet);
      workers.forEach(0, _ -> calls.incrementAndGet(0));
    }
    for (int index = 0; index < 1000; index++) {
      assertThat(calls.get(index)).isOne();
    }
  }

  @Test
  void noThreadsAreRefused() {
    assertThatThrownBy(() -> Workers.of(0).close())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("threads is 0, expected at least 1");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void whatTheBodyThrowsIsThrownWhenNoThreadIsInTheBody(int threads) {
    AtomicInteger inBody = new AtomicInteger();
    try (Workers workers = Workers.of(threads)) {
      assertThatThrownBy(() ->
              workers.forEach(
                  100,
                  index -> {
                    inBody.incrementAndGet();
                    try {
                      if (index == 7) {
                        throw new IllegalStateException("seven");
                      }
                      Thread.onSpinWait();
                    } finally {
                      inBody.decrementAndGet();
                    }
                  }))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("seven");
      assertThat(inBody).hasValue(0);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void aCancelledLoopStops(int threads) {
    AtomicInteger done = new AtomicInteger();
    try (Workers workers = new Workers(threads, () -> done.get() >= 10, Progress.NONE)) {
      assertThatThrownBy(() -> workers.forEach(1000, _ -> done.incrementAndGet()))
          .isInstanceOf(CancellationException.class);
      assertThatThrownBy(workers::checkCancelled).isInstanceOf(CancellationException.class);
    }
    assertThat(done.get()).isBetween(10, 10 + threads);
  }

  @Test
  void interruptingTheCallerCancelsAndStaysVisible() {
    AtomicInteger done = new AtomicInteger();
    try (Workers workers = Workers.of(1)) {
      Thread.currentThread().interrupt();
      assertThatThrownBy(() -> workers.forEach(1000, _ -> done.incrementAndGet()))
          .isInstanceOf(CancellationException.class);
      assertThat(Thread.interrupted()).isTrue();
    }
    assertThat(done).hasValue(0);
  }

  @Test
  void progressComesFromTheCallingThreadAndEndsWithAll() {
    List<long[]> reports = new ArrayList<>();
    Thread caller = Thread.currentThread();
    Progress progress =
        (stage, done, total) -> {
          assertThat(Thread.currentThread()).isSameAs(caller);
          assertThat(stage).isEqualTo("counting");
          reports.add(new long[] {done, total});
        };
    try (Workers workers = new Workers(3, () -> false, progress)) {
      workers.forEach("counting", 50, () -> new int[1], (scratch, _) -> scratch[0]++);
    }
    assertThat(reports.getLast()).containsExactly(50, 50);
    assertThat(reports.stream().mapToLong(report -> report[0]).toArray()).isSorted();
    assertThat(Arrays.stream(reports.toArray(long[][]::new)).allMatch(r -> r[1] == 50)).isTrue();
  }

  @Test
  void eachThreadHasScratchOfItsOwn() {
    AtomicInteger made = new AtomicInteger();
    try (Workers workers = Workers.of(4)) {
      workers.forEach(2, made::incrementAndGet, (_, _) -> {});
      assertThat(made.get()).isBetween(1, 2);
    }
  }
}
