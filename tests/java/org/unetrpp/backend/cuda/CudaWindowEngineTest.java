package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;
import org.unetrpp.window.AxisTaps;
import org.unetrpp.window.WindowEngine;
import org.unetrpp.window.WindowSums;
import org.unetrpp.window.WindowedVolume;

/**
 * What a window engine refuses, and how it lays batches; {@code ResidentWindowsTest} holds what it
 * computes against the host.
 */
class CudaWindowEngineTest {
  private static final Extents PATCH = new Extents(2, 3, 4);

  @ParameterizedTest(name = "{0} windows, each in {1} ways: {2} at once")
  @CsvSource({
    "49, 8, 1",
    "49, 4, 2", // 25 steps
    "49, 2, 3", // 51 windows, 52 with four at once
    "49, 1, 7", // 7 steps
    "36, 1, 6",
    "16, 1, 8",
    "11, 1, 6", // 12 items, 16 with eight at once
    "9, 2, 3",
    "3, 1, 3",
    "1, 8, 1"
  })
  void aBatchWastesFewItems(int windows, int mirrorings, int expected) {
    assertThat(CudaWindowEngine.Batch.of(windows, mirrorings))
        .isEqualTo(new CudaWindowEngine.Batch(expected, mirrorings));
  }

  private static WindowedVolume volume(List<Integer> mirrorings) {
    return new WindowedVolume(PATCH, 2, 2, 1, mirrorings, new float[0]);
  }

  @Test
  void refusesMirroringsThatThereAreNot() {
    for (int count : new int[] {0, 3, 16}) {
      assertThatThrownBy(() -> WindowStep.masks(Collections.nCopies(count, 0)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("%d ways to mirror, expected 1, 2, 4 or 8", count);
    }
    assertThatThrownBy(() -> WindowStep.masks(List.of(0, 8)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("mirrored along 8, expected a sum of 4, 2 and 1");
    assertThat(WindowStep.masks(List.of(0, 1, 6, 7))).isEqualTo(0 + (1 << 3) + (6 << 6) + (7 << 9));
  }

  @Test
  void refusesMoreWindowsAndTapsThanItTakes() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32);
        WindowEngine engine = backend.windows(1, 1, PATCH, patches -> patches).orElseThrow();
        WindowSums sums = engine.open(volume(List.of(0)))) {
      Extents origin = new Extents(0, 0, 0);
      assertThatThrownBy(() -> sums.add(List.of(origin, origin)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("2 windows, expected at most 1");
      AxisTaps cubic = new AxisTaps(0, 4, new int[4], new double[4]);
      assertThatThrownBy(() -> sums.labels(List.of(cubic, cubic, cubic)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("4 taps, expected 1 to 2");
      assertThatThrownBy(engine::close)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("an image is open, expected it to be closed before");
    }
  }

  /** A network that gives back what it gets: the image comes back. */
  @Test
  void whatGoesThroughUnchangedComesBack() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    float[] slice = new float[12];
    for (int i = 0; i < slice.length; i++) {
      slice[i] = i;
    }
    try (CudaBackend backend = EmulatedCuda.open(DType.FLOAT32);
        WindowEngine engine = backend.windows(1, 1, PATCH, patches -> patches).orElseThrow();
        WindowSums sums = engine.open(volume(List.of(0, 7)))) {
      sums.enter(0, 0, MemorySegment.ofArray(slice));
      sums.enter(0, 1, MemorySegment.ofArray(slice));
      sums.add(List.of(new Extents(0, 0, 0)));
      assertThat(sums.average(0, 2)).isEqualTo(-1);
      float[] back = new float[12];
      sums.download(0, 1, MemorySegment.ofArray(back));
      assertThat(back).isEqualTo(slice);
      sums.clear(1, 2);
      sums.download(0, 1, MemorySegment.ofArray(back));
      assertThat(back).containsOnly(0);
      sums.download(0, 0, MemorySegment.ofArray(back));
      assertThat(back).isEqualTo(slice);
    }
  }
}
