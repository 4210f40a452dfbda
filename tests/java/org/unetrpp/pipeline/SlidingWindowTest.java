package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.SlidingWindow.Settings;

class SlidingWindowTest {
  @ParameterizedTest(name = "patch {0} in {1}")
  @CsvSource({
    "64, 148, 0 28 56 84",
    "128, 512, 0 64 128 192 256 320 384",
    "64, 89, 0 25",
    "16, 16, 0",
    "160, 237, 0 77",
    "128, 138, 0 10",
    "128, 171, 0 43",
    "128, 139, 0 11",
    "30, 162, 0 15 29 44 59 73 88 103 117 132",
    "224, 529, 0 102 203 305",
    "64, 110, 0 23 46"
  })
  void windowsStartAsPublished(int patch, int extent, String expected) {
    assertThat(SlidingWindow.starts(extent, patch, 0.5)).containsExactly(numbers(expected));
  }

  private static int[] numbers(String text) {
    return Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
  }

  @Test
  void paddingIsHalfBelowAndTheRestAbove() {
    assertThat(SlidingWindow.windows(new Extents(61, 127, 130), new Extents(64, 128, 128), 0.5))
        .containsExactly(new Extents(-1, 0, 0), new Extents(-1, 0, 2));
  }

  @Test
  void theLastAxisOfWindowsIsTheFastest() {
    assertThat(SlidingWindow.windows(new Extents(3, 2, 3), new Extents(2, 2, 2), 0.5))
        .containsExactly(
            new Extents(0, 0, 0), new Extents(0, 0, 1), new Extents(1, 0, 0), new Extents(1, 0, 1));
  }

  @Test
  void stepsOutsideOfOnePatchAreRefused() {
    for (double step : new double[] {0, -0.5, 1.01, Double.NaN}) {
      assertThatThrownBy(() -> new Settings(step, Mirroring.NONE))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("step is");
    }
  }

  @Test
  void mirroringComesInThePublishedOrder() {
    assertThat(Mirroring.ALL.combinations())
        .containsExactly(
            new Mirroring(false, false, false),
            new Mirroring(false, false, true),
            new Mirroring(false, true, false),
            new Mirroring(false, true, true),
            new Mirroring(true, false, false),
            new Mirroring(true, false, true),
            new Mirroring(true, true, false),
            new Mirroring(true, true, true));
    assertThat(new Mirroring(true, false, true).combinations())
        .containsExactly(
            new Mirroring(false, false, false),
            new Mirroring(false, false, true),
            new Mirroring(true, false, false),
            new Mirroring(true, false, true));
  }

  @ParameterizedTest(name = "image {0}, mirrored {1}, {2} threads")
  @CsvSource({
    "7x9x11, 012, 1",
    "7x9x11, 012, 2",
    "7x9x11, 012, 5",
    "4x6x5, 012, 2", // one window that fits
    "3x5x4, 012, 2", // smaller than the patch along every axis
    "1x9x11, 02, 2", // one slice
    "13x3x8, 1, 2",
    "8x12x10, '', 2"
  })
  void resultIsThatOfThePlainLoopsToTheBit(String size, String axes, int threads) {
    Extents image = Extents.of(numbers(size.replace('x', ' ')));
    Mirroring mirroring = new Mirroring(axes.contains("0"), axes.contains("1"), axes.contains("2"));
    List<float[]> channels = List.of(Vectors.random(image, 5), Vectors.random(image, 6));
    Lopsided network = new Lopsided(new Extents(4, 6, 5), 2, 3);
    float[][] expected = PlainSlidingWindow.run(channels, image, network, mirroring);
    try (Workers workers = Workers.of(threads);
        Arena arena = Arena.ofShared()) {
      var result =
          SlidingWindow.run(channels, image, network, new Settings(0.5, mirroring), arena, workers);
      assertThat(result.extents()).isEqualTo(image);
      for (int label = 0; label < 3; label++) {
        assertThat(result.classes().get(label).toArray(JAVA_FLOAT))
            .containsExactly(expected[label]);
      }
    }
  }

  @Test
  void whatDependsOnTheVoxelAloneComesBack() {
    Extents image = new Extents(9, 13, 10);
    float[] channel = Vectors.random(image, 7);
    PatchPredictor network =
        new VoxelwisePredictor(new Extents(4, 6, 5), value -> 0.5f + 0.5f * value);
    try (Workers workers = Workers.of(2);
        Arena arena = Arena.ofShared()) {
      var result =
          SlidingWindow.run(List.of(channel), image, network, Settings.PUBLISHED, arena, workers);
      float[] foreground = result.classes().get(1).toArray(JAVA_FLOAT);
      for (int voxel = 0; voxel < channel.length; voxel++) {
        // up to 8 windows of 8 averaged predictions: 16 roundings of 6e-8 each, up and down
        assertThat(foreground[voxel]).isCloseTo(0.5f + 0.5f * channel[voxel], Offset.offset(1e-6f));
      }
    }
  }

  @Test
  void oneWindowHasNoImportanceMap() {
    Extents patch = new Extents(4, 6, 5);
    float[] channel = Vectors.random(patch, 8);
    PatchPredictor network = new VoxelwisePredictor(patch, value -> 0.5f + 0.5f * value);
    try (Workers workers = Workers.of(1);
        Arena arena = Arena.ofShared()) {
      var result =
          SlidingWindow.run(
              List.of(channel), patch, network, new Settings(0.5, Mirroring.NONE), arena, workers);
      float[] foreground = result.classes().get(1).toArray(JAVA_FLOAT);
      for (int voxel = 0; voxel < channel.length; voxel++) {
        assertThat(foreground[voxel]).isEqualTo(0.5f + 0.5f * channel[voxel]);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aCancelledRunAsksTheNetworkNoMore(int threads) {
    Extents image = new Extents(9, 13, 10);
    int[] calls = new int[1];
    Lopsided network =
        new Lopsided(new Extents(4, 6, 5), 1, 2) {
          @Override
          public void fill(MemorySegment input, MemorySegment probabilities) {
            calls[0]++;
            super.fill(input, probabilities);
          }
        };
    try (Workers workers = new Workers(threads, () -> calls[0] == 3, Progress.NONE);
        Arena arena = Arena.ofShared()) {
      assertThatThrownBy(() ->
              SlidingWindow.run(
                  List.of(Vectors.random(image, 9)),
                  image,
                  network,
                  Settings.PUBLISHED,
                  arena,
                  workers))
          .isInstanceOf(CancellationException.class);
    }
    assertThat(calls[0]).isEqualTo(3);
  }

  @Test
  void progressCountsPredictions() {
    Extents image = new Extents(6, 6, 5); // two windows
    List<Long> done = new ArrayList<>();
    Progress progress =
        (stage, count, total) -> {
          if (stage.equals("predicting")) {
            assertThat(total).isEqualTo(16);
            done.add(count);
          }
        };
    try (Workers workers = new Workers(2, () -> false, progress);
        Arena arena = Arena.ofShared()) {
      SlidingWindow.run(
          List.of(Vectors.random(image, 10)),
          image,
          new Lopsided(new Extents(4, 6, 5), 1, 2),
          Settings.PUBLISHED,
          arena,
          workers);
    }
    assertThat(done).hasSize(16).isSorted().endsWith(16L);
  }

  @Test
  void aNetworkThatGivesNoNumberIsReported() {
    Extents patch = new Extents(2, 3, 4);
    PatchPredictor network =
        new VoxelwisePredictor(patch, value -> value > 0.99f ? Float.NaN : 0.5f);
    float[] channel = new float[24];
    channel[17] = 1;
    try (Workers workers = Workers.of(2);
        Arena arena = Arena.ofShared()) {
      assertThatThrownBy(() ->
              SlidingWindow.run(
                  List.of(channel), patch, network, Settings.PUBLISHED, arena, workers))
          .isInstanceOf(ArithmeticException.class)
          .hasMessageMatching(
              "the network gave NaN for class [01] at voxel \\(1, 1, 1\\), expected a probability");
    }
  }

  @Test
  void imagesOfOtherChannelsAreRefused() {
    Extents image = new Extents(4, 6, 5);
    Lopsided network = new Lopsided(image, 2, 2);
    try (Workers workers = Workers.of(1);
        Arena arena = Arena.ofShared()) {
      assertThatThrownBy(() ->
              SlidingWindow.run(
                  List.of(new float[120]), image, network, Settings.PUBLISHED, arena, workers))
          .hasMessage("image of 1 channels, expected 2 as the network has");
      assertThatThrownBy(() ->
              SlidingWindow.run(
                  List.of(new float[120], new float[119]),
                  image,
                  network,
                  Settings.PUBLISHED,
                  arena,
                  workers))
          .hasMessage("channel of 119 voxels, expected 120 for 4x6x5");
    }
  }

  @Test
  void memoryIsEstimatedByTheFormula() {
    Extents extents = new Extents(150, 512, 512);
    Extents patch = new Extents(64, 128, 128);
    assertThat(SlidingWindow.peakBytes(extents, 1, 14, patch, Mirroring.ALL))
        .isEqualTo(4 * (15 * extents.voxels() + 16 * patch.voxels()));
    assertThat(SlidingWindow.peakBytes(extents, 1, 14, patch, Mirroring.NONE))
        .isEqualTo(4 * (15 * extents.voxels() + 2 * patch.voxels()));
    assertThat(SlidingWindow.peakBytes(Extents.cube(8), 1, 2, Extents.cube(8), Mirroring.ALL))
        .isEqualTo(4 * (2 * 512 + 4 * 512));
  }

  /** Depends on where a voxel lies in the patch, and on its neighbors, differently by axis. */
  private static class Lopsided implements FillingPredictor {
    private final Extents patch;
    private final int channels;
    private final int classes;

    Lopsided(Extents patch, int channels, int classes) {
      this.patch = patch;
      this.channels = channels;
      this.classes = classes;
    }

    @Override
    public int channels() {
      return channels;
    }

    @Override
    public int classes() {
      return classes;
    }

    @Override
    public Extents patch() {
      return patch;
    }

    @Override
    public void fill(MemorySegment input, MemorySegment probabilities) {
      assertThat(input.address() % 64).isZero();
      assertThat(input.byteSize()).isEqualTo(4L * channels * patch.voxels());
      assertThat(probabilities.byteSize()).isEqualTo(4L * classes * patch.voxels());
      int voxels = Math.toIntExact(patch.voxels());
      for (int label = 0; label < classes; label++) {
        for (int voxel = 0; voxel < voxels; voxel++) {
          float sum = (label + 1) * voxel * 0.001f;
          for (int channel = 0; channel < channels; channel++) {
            int first = channel * voxels;
            sum += (channel + 1) * input.getAtIndex(JAVA_FLOAT, first + voxel);
            sum += 0.3f * input.getAtIndex(JAVA_FLOAT, first + (voxel + 1 + label) % voxels);
          }
          probabilities.setAtIndex(JAVA_FLOAT, (long) label * voxels + voxel, sum);
        }
      }
    }
  }
}
