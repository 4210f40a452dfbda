package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

class WindowKernelsTest {
  private static final Extents VOLUME = new Extents(5, 9, 11);
  private static final Extents WINDOW = new Extents(4, 6, 8);
  private static final int VOXELS = 5 * 9 * 11;
  private static final int WINDOW_VOXELS = 4 * 6 * 8;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  /** Called for every voxel of a window. */
  @FunctionalInterface
  private interface Visitor {
    /**
     * One voxel.
     *
     * @param within index in the window
     * @param mirrored index in the mirrored window
     * @param place index in the volume, or -1 outside
     */
    void visit(int within, int mirrored, int place);
  }

  private static void forEach(Extents origin, int axes, Visitor visitor) {
    for (int d = 0; d < WINDOW.depth(); d++) {
      for (int h = 0; h < WINDOW.height(); h++) {
        for (int w = 0; w < WINDOW.width(); w++) {
          int fromD = (axes & 4) == 0 ? d : WINDOW.depth() - 1 - d;
          int fromH = (axes & 2) == 0 ? h : WINDOW.height() - 1 - h;
          int fromW = (axes & 1) == 0 ? w : WINDOW.width() - 1 - w;
          visitor.visit(
              index(WINDOW, d, h, w),
              index(WINDOW, fromD, fromH, fromW),
              index(VOLUME, origin.depth() + d, origin.height() + h, origin.width() + w));
        }
      }
    }
  }

  private static int index(Extents extents, int d, int h, int w) {
    boolean isInside =
        Math.min(d, Math.min(h, w)) >= 0
            && d < extents.depth()
            && h < extents.height()
            && w < extents.width();
    return isInside ? (d * extents.height() + h) * extents.width() + w : -1;
  }

  @ParameterizedTest(name = "{0}, window at {1} {2} {3} mirrored along {4}")
  @CsvSource({
    "FLOAT32, 1, 2, 3, 0",
    "FLOAT32, 0, 0, 0, 7",
    "BFLOAT16, -2, 5, -1, 5",
    "BFLOAT16, 1, -3, 7, 2",
    "FLOAT32, 40, 0, 0, 1", // altogether outside
  })
  void windowIsCutOutOfTheVolume(DType type, int depth, int height, int width, int axes) {
    int channels = 3;
    Extents origin = new Extents(depth, height, width);
    try (Twin twin = new Twin(type)) {
      Pair volume = twin.parameters((long) channels * VOXELS);
      Pair windows = twin.activations(2L * channels * WINDOW_VOXELS);
      float[] expected = twin.device().download(windows.device());
      float[] values = twin.device().download(volume.device());
      forEach(
          origin,
          axes,
          (within, mirrored, place) -> {
            for (int c = 0; c < channels; c++) {
              float value = place < 0 ? 0 : values[c * VOXELS + place];
              expected[(WINDOW_VOXELS + mirrored) * channels + c] =
                  type == DType.FLOAT32 ? value : BFloat16.toFloat(BFloat16.fromFloat(value));
            }
          });
      new WindowKernels(twin.device().context())
          .gather(volume.device(), VOLUME, origin, axes, windows.device(), 1, WINDOW);
      assertThat(twin.device().download(windows.device())).isEqualTo(expected);
    }
  }

  @ParameterizedTest(name = "{0}, {1} ways to mirror, with weights {2}")
  @CsvSource({"FLOAT32, 8, true", "BFLOAT16, 8, true", "FLOAT32, 1, false", "BFLOAT16, 3, false"})
  void meanOfMirroredPredictionsIsAddedWithItsWeights(DType type, int items, boolean weighted) {
    int classes = 3;
    int[] axes = Arrays.copyOf(new int[] {6, 1, 2, 3, 4, 5, 0, 7}, items);
    Extents origin = new Extents(2, -1, 4);
    try (Twin twin = new Twin(type)) {
      Pair predictions = twin.activations((long) items * classes * WINDOW_VOXELS);
      Pair weights = twin.positive(WINDOW_VOXELS);
      Pair sums = twin.parameters((long) classes * VOXELS);
      double[] p = twin.reference().downloadDouble(predictions.reference());
      double[] weight = twin.reference().downloadDouble(weights.reference());
      double[] expected = twin.reference().downloadDouble(sums.reference());
      for (int i = 0; i < items; i++) {
        int first = i * classes * WINDOW_VOXELS;
        forEach(
            origin,
            axes[i],
            (within, mirrored, place) -> {
              for (int k = 0; k < classes && place >= 0; k++) {
                expected[k * VOXELS + place] +=
                    (weighted ? weight[within] : 1)
                        * p[first + k * WINDOW_VOXELS + mirrored]
                        / items;
              }
            });
      }
      accumulate(twin, predictions, axes, weighted ? weights.device() : null, sums, origin);
      assertThat(relativeDistance(twin.device().downloadDouble(sums.device()), expected))
          .isLessThanOrEqualTo(Twin.FLOAT32_TOLERANCE);
    }
  }

  private static void accumulate(
      Twin twin,
      Pair predictions,
      int[] axes,
      @Nullable Buffer weights,
      Pair sums,
      Extents origin) {
    new WindowKernels(twin.device().context())
        .accumulate(predictions.device(), axes, weights, sums.device(), VOLUME, origin, WINDOW);
  }

  private static double relativeDistance(double[] actual, double[] expected) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(actual[i] - expected[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    return Math.sqrt(difference / norm);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void gatheredAndAccumulatedWindowIsWhatItWas(DType type) {
    Extents origin = new Extents(1, 2, 3);
    try (Twin twin = new Twin(type)) {
      Pair activations = twin.activations(VOXELS);
      float[] values = twin.device().download(activations.device());
      Pair volume = twin.pair(DType.FLOAT32, values);
      for (int axes = 0; axes < 8; axes++) {
        Pair window = twin.room(WINDOW_VOXELS);
        Pair sums = twin.pair(DType.FLOAT32, new float[VOXELS]);
        new WindowKernels(twin.device().context())
            .gather(volume.device(), VOLUME, origin, axes, window.device(), 0, WINDOW);
        accumulate(twin, window, new int[] {axes}, null, sums, origin);
        float[] expected = new float[VOXELS];
        forEach(origin, 0, (within, mirrored, place) -> expected[place] = values[place]);
        assertThat(twin.device().download(sums.device())).isEqualTo(expected);
      }
    }
  }

  @Test
  void refusesAxesAndNumbersOfItemsThatThereAreNot() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair some = twin.room(1);
      Extents origin = new Extents(0, 0, 0);
      assertThatThrownBy(() -> accumulate(twin, some, new int[9], null, some, origin))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("mirrored has 9 items, expected 1 to 8");
      assertThatThrownBy(() -> accumulate(twin, some, new int[] {8}, null, some, origin))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("mirrored is 8, expected a sum of 4, 2 and 1");
    }
  }
}
