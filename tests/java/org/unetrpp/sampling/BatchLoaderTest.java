package org.unetrpp.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.augmentation.AugmentationSettings;
import org.unetrpp.augmentation.Augmenter;
import org.unetrpp.dataset.PreparedCase;
import org.unetrpp.grid.Extents;

class BatchLoaderTest {
  private static final Arena ARENA = Arena.ofShared();
  private static final Extents SIZE = new Extents(9, 14, 13);
  private static final Extents NETWORK = new Extents(6, 8, 8);
  private static final long SEED = 2024;

  private static final List<PreparedCase> CASES =
      List.of(
          Cases.of(ARENA, "a", SIZE, 1, 5, 700, 900),
          Cases.of(ARENA, "b", new Extents(4, 20, 9), 2, 300),
          Cases.of(ARENA, "c", SIZE, 3, 1600));

  @AfterAll
  static void close() {
    ARENA.close();
  }

  private static Augmenter augmenter() {
    return new Augmenter(AugmentationSettings.published(false), new boolean[] {true, false});
  }

  private static LoaderSettings settings(@Nullable Augmenter augmenter) {
    return new LoaderSettings(2, NETWORK, 0.33, augmenter);
  }

  @MustBeClosed
  private static BatchLoader loader(int threads) {
    return new BatchLoader(CASES, settings(augmenter()), SEED, threads);
  }

  private static void assertSame(Batch batch, Batch expected) {
    assertThat(Arrays.equals(batch.image(), expected.image())).isTrue();
    assertThat(Arrays.equals(batch.labels(), expected.labels())).isTrue();
  }

  @Test
  void batchesHoldTheirSamplesInOrder() {
    PatchSampler sampler = new PatchSampler(CASES, settings(augmenter()), SEED);
    try (BatchLoader loader = loader(2)) {
      for (long index = 0; index < 5; index++) {
        Batch batch = loader.get(index);
        assertThat(batch.size()).isEqualTo(2);
        assertThat(batch.channels()).isEqualTo(2);
        assertThat(batch.extents()).isEqualTo(NETWORK);
        assertThat(batch.image()).hasSize(4 * 384);
        assertThat(batch.labels()).hasSize(2 * 384);
        for (int position = 0; position < 2; position++) {
          int first = position * 384;
          assertThat(Arrays.copyOfRange(batch.image(), 2 * first, 2 * first + 768))
              .containsExactly(sampler.sample(index, position).image());
          assertThat(Arrays.copyOfRange(batch.labels(), first, first + 384))
              .containsExactly(sampler.sample(index, position).labels());
        }
      }
    }
  }

  @Test
  void anyNumberOfThreadsGivesTheSameBytes() {
    try (BatchLoader one = loader(1);
        BatchLoader two = loader(2);
        BatchLoader five = loader(5)) {
      for (long index = 0; index < 20; index++) {
        Batch batch = one.get(index);
        assertSame(two.get(index), batch);
        assertSame(five.get(index), batch);
      }
    }
  }

  @Test
  void runResumesAnywhereWithTheSameBytes() {
    try (BatchLoader whole = loader(2);
        BatchLoader resumed = loader(2)) {
      Batch[] batches = new Batch[12];
      for (int index = 0; index < batches.length; index++) {
        batches[index] = whole.get(index);
      }
      for (int index : new int[] {7, 8, 3, 4, 4, 11, 0}) {
        assertSame(resumed.get(index), batches[index]);
      }
    }
  }

  @Test
  void batchesDifferFromOneAnotherAndBetweenSeeds() {
    try (BatchLoader loader = loader(1);
        BatchLoader other = new BatchLoader(CASES, settings(augmenter()), SEED + 1, 1)) {
      Batch first = loader.get(0);
      assertThat(loader.get(1).image()).isNotEqualTo(first.image());
      assertThat(other.get(0).image()).isNotEqualTo(first.image());
    }
  }

  @Test
  void validationBatchesAreNotAugmented() {
    try (BatchLoader loader = new BatchLoader(CASES, settings(null), SEED, 1)) {
      for (long index = 0; index < 10; index++) {
        for (float intensity : loader.get(index).image()) {
          assertThat(intensity)
              .isEqualTo((float) Math.rint(intensity)); // the cases hold whole numbers
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void caseThatFailsIsNamed(int threads) {
    PreparedCase gone;
    try (Arena arena = Arena.ofShared()) {
      gone = Cases.of(arena, "gone", SIZE, 1, 3);
    }
    try (BatchLoader loader = new BatchLoader(List.of(gone), settings(null), SEED, threads)) {
      for (int attempt = 0; attempt < 2; attempt++) {
        assertThatThrownBy(() -> loader.get(0))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("case gone: Already closed");
      }
    }
  }

  @Test
  void interruptedWaitIsCancelledAndCanBeRepeated() {
    try (BatchLoader loader = loader(1)) {
      Thread.currentThread().interrupt();
      try {
        assertThatThrownBy(() -> loader.get(0)).isInstanceOf(CancellationException.class);
      } finally {
        assertThat(Thread.interrupted()).isTrue();
      }
      try (BatchLoader other = loader(1)) {
        assertSame(loader.get(0), other.get(0));
      }
    }
  }

  @Test
  void closingEndsTheThreads() throws InterruptedException {
    List<Thread> before = loaderThreads();
    List<Thread> started = new ArrayList<>();
    try (BatchLoader loader = loader(2)) {
      assertThat(loader.get(0).size()).isEqualTo(2);
      started.addAll(loaderThreads());
    }
    started.removeAll(before);
    assertThat(started).hasSize(2);
    for (Thread thread : started) {
      // The loader has waited for the work; the thread itself ends a moment later.
      assertThat(thread.join(Duration.ofSeconds(10))).isTrue();
    }
  }

  private static List<Thread> loaderThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("unetrpp-loader-"))
        .toList();
  }

  @Test
  void closedLoaderGivesNoBatches() {
    BatchLoader closed;
    try (BatchLoader loader = loader(1)) {
      closed = loader;
    }
    assertThatThrownBy(() -> closed.get(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the loader is closed");
    closed.close();
  }

  @Test
  void wrongArgumentsAreRefused() {
    try (BatchLoader loader = loader(1)) {
      assertThatThrownBy(() -> loader.get(-1))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("index is -1, expected at least 0");
    }
    assertThatThrownBy(
            () -> {
              try (BatchLoader loader = loader(0)) {
                loader.get(0);
              }
            })
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("threads is 0, expected at least 1");
  }
}
