package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.unetrpp.memory.HostAllocator;

@Timeout(value = 60, unit = TimeUnit.SECONDS)
class ThreadPoolTest {
  private final OneDnn oneDnn = OneDnn.instance();
  private final HostAllocator memory = new HostAllocator();
  private final ThreadPool pool = pool(4);

  private ThreadPool pool(int threads) {
    return new ThreadPool(threads, oneDnn, index -> new Worker(index, oneDnn, memory));
  }

  @AfterEach
  void nothingIsLeft() {
    pool.close();
    assertThat(memory.bytesInUse()).isZero();
    memory.close();
  }

  @Test
  void everyTaskRunsOnce() {
    for (int count : new int[] {1, 2, 3, 1000}) {
      AtomicIntegerArray runs = new AtomicIntegerArray(count);
      pool.run(count, (task, _) -> runs.incrementAndGet(task));
      for (int task = 0; task < count; task++) {
        assertThat(runs.get(task)).isEqualTo(1);
      }
    }
    pool.run(0, (_, _) -> assertThat(false).isTrue());
  }

  @Test
  void manyShortRunsLoseNoTask() {
    AtomicInteger done = new AtomicInteger();
    for (int run = 0; run < 20_000; run++) {
      pool.run(3, (_, _) -> done.incrementAndGet());
    }
    assertThat(done).hasValue(60_000);
  }

  @Test
  void tasksRunAtTheSameTime() {
    CountDownLatch all = new CountDownLatch(4);
    pool.run(
        4,
        (_, worker) -> {
          worker.scratch(100);
          all.countDown();
          try {
            assertThat(all.await(30, TimeUnit.SECONDS)).isTrue();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        });
    assertThat(all.getCount()).isZero();
  }

  @Test
  void aFailureReachesTheCallerAndEndsTheRun() {
    AtomicInteger begun = new AtomicInteger();
    assertThatThrownBy(() ->
            pool.run(
                100_000,
                (task, _) -> {
                  begun.incrementAndGet();
                  if (task == 5) {
                    throw new IllegalStateException("task 5");
                  }
                }))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("task 5");
    assertThat(begun.get()).isLessThan(100_000);
    AtomicInteger after = new AtomicInteger();
    pool.run(10, (_, _) -> after.incrementAndGet());
    assertThat(after).hasValue(10);
  }

  @Test
  void anInterruptIsKeptForTheCaller() {
    Thread.currentThread().interrupt();
    AtomicInteger done = new AtomicInteger();
    pool.run(
        8,
        (task, _) -> {
          if (task > 0) {
            busy(2_000_000);
          }
          done.incrementAndGet();
        });
    assertThat(Thread.interrupted()).isTrue();
    assertThat(done).hasValue(8);
  }

  private static void busy(long nanoseconds) {
    long end = System.nanoTime() + nanoseconds;
    while (System.nanoTime() < end) {
      Thread.onSpinWait();
    }
  }

  @Test
  void theCallersOpenMpThreadsAreRestored() {
    int before = oneDnn.useOneThread();
    try {
      oneDnn.restoreThreads(7);
      pool.run(
          4,
          (_, _) -> {
            int inside = oneDnn.useOneThread();
            assertThat(inside).isEqualTo(1);
          });
      assertThat(oneDnn.useOneThread()).isEqualTo(7);
    } finally {
      oneDnn.restoreThreads(before);
    }
  }

  @Test
  void closingEndsTheThreads() {
    Set<Thread> seen = ConcurrentHashMap.newKeySet();
    for (int run = 0; run < 100; run++) {
      pool.run(
          8,
          (_, _) -> {
            seen.add(Thread.currentThread());
            busy(10_000);
          });
    }
    pool.close();
    seen.remove(Thread.currentThread());
    assertThat(seen).noneMatch(Thread::isAlive);
    assertThatThrownBy(() -> pool.run(1, (_, _) -> {}))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the backend is closed");
  }

  @Test
  void rejectsNoThreads() {
    assertThatThrownBy(() -> pool(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("0 threads, expected at least 1");
  }
}
