package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.SlidingWindow.Settings;

class VolumeSegmentationTest {
  private static final Extents PATCH = new Extents(6, 8, 7);
  private static final int CLASSES = 4;
  private static final ChannelPlan CT =
      new ChannelPlan(
          "CT", NormalizationScheme.CT, false, new IntensityStatistics(10, 30, -40, 90));
  private static final ChannelPlan MASKED_CT =
      new ChannelPlan("CT", NormalizationScheme.CT, true, new IntensityStatistics(5, 20, -50, 70));
  private static final ChannelPlan MRI =
      new ChannelPlan("MRI", NormalizationScheme.NON_CT, false, null);

  /** Whole stages one after the other against slabs of every size that is allowed. */
  @ParameterizedTest(name = "{0} of {1} mm, axes {2}, mirrored {3}, {4}")
  @CsvSource({
    "31x17x19, 1 1 1, 0 1 2, '', CT", // nothing to resample
    "31x17x19, 1.2 0.8 0.9, 0 1 2, 012, CT", // a spline along the depth
    "31x17x19, 4 0.8 0.9, 0 1 2, 02, CT", // nearest slices, more of them
    "43x17x19, 0.3 1.1 0.9, 0 1 2, '', CT", // fewer slices, the spline in all
    "31x17x19, 1 0.8 0.9, 0 1 2, 1, MASKED", // the depth stays
    "23x17x19, 4 0.8 0.9, 0 1 2, '', BOTH",
    "23x17x19, 4 0.8 0.9, 0 1 2, '', MRI",
    "17x31x19, 0.9 4 0.8, 1 0 2, 012, CT",
    "17x19x31, 0.9 0.8 4, 2 0 1, '', CT",
    "17x31x19, 1 1 1, 1 2 0, '', CT",
    "19x17x31, 1.2 0.9 0.7, 2 1 0, 0, CT",
    "31x17x19, 0.9 4 0.8, 0 2 1, '', MASKED",
    "4x5x6, 1.1 0.8 0.9, 0 1 2, 012, CT", // smaller than the patch
    "7x40x9, 1 1 1, 0 1 2, '', CT"
  })
  void slabsOfAnySizeGiveTheBytesOfTheWhole(
      String size, String spacing, String axes, String mirrored, String channels) {
    Extents extents = Extents.of(numbers(size.replace('x', ' ')));
    double[] millimeters =
        Arrays.stream(spacing.split(" ")).mapToDouble(Double::parseDouble).toArray();
    int[] order = numbers(axes);
    PreprocessingPlan plan =
        new PreprocessingPlan(
            switch (channels) {
              case "CT" -> List.of(CT);
              case "MASKED" -> List.of(MASKED_CT);
              case "MRI" -> List.of(MRI);
              default -> List.of(CT, MASKED_CT);
            },
            new Spacing(1, 1, 1),
            new AxisOrder(order[0], order[1], order[2]),
            SplineRule.PINNED);
    MultiChannelImage image =
        image(
            extents,
            new Spacing(millimeters[0], millimeters[1], millimeters[2]),
            plan.channels().size());
    PatchPredictor network = new StandIn(plan.channels().size(), CLASSES);
    Settings settings =
        new Settings(
            0.5,
            new Mirroring(mirrored.contains("0"), mirrored.contains("1"), mirrored.contains("2")));
    byte[] expected;
    List<float[]> probabilities = new ArrayList<>();
    int depth;
    try (Workers workers = Workers.of(2);
        Arena arena = Arena.ofShared()) {
      PreprocessedCase whole = Preprocessing.run(image, plan, workers);
      depth = whole.extents().depth();
      ProbabilityVolume volume =
          SlidingWindow.run(whole.channels(), whole.extents(), network, settings, arena, workers);
      expected =
          Export.labels(
              volume, whole.geometry(), (_, values, _) -> probabilities.add(values), workers);
    }
    assertThat(IntStream.range(0, expected.length).map(voxel -> expected[voxel]).distinct())
        .hasSizeGreaterThan(2);
    for (int capacity : new int[] {PATCH.depth() + 1, PATCH.depth() + 2, 11, 13, depth + 5}) {
      for (int threads : new int[] {1, 3}) {
        try (Workers workers = Workers.of(threads);
            Arena arena = Arena.ofShared()) {
          VolumeSegmentation.Result result =
              VolumeSegmentation.run(
                  image, plan, network, settings, true, capacity, arena, workers, new StageClock());
          assertThat(result.labels()).as("%d slices", capacity).isEqualTo(expected);
          assertThat(result.probabilities()).hasSize(CLASSES);
          for (int label = 0; label < CLASSES; label++) {
            assertThat(result.probabilities().get(label)).isEqualTo(probabilities.get(label));
          }
        }
      }
    }
    try (Workers workers = Workers.of(2)) {
      VolumeSegmentation.Result result =
          VolumeSegmentation.run(image, plan, network, settings, false, workers, new StageClock());
      assertThat(result.labels()).isEqualTo(expected);
      assertThat(result.probabilities()).isEmpty();
      for (boolean takesProbabilities : new boolean[] {false, true}) {
        VolumeSegmentation.Result staged =
            StagedSegmentation.run(
                image,
                plan,
                network,
                settings,
                takesProbabilities,
                _ -> {},
                workers,
                new StageClock());
        assertThat(staged.labels()).isEqualTo(expected);
        assertThat(staged.probabilities()).hasSize(takesProbabilities ? CLASSES : 0);
        for (int label = 0; label < staged.probabilities().size(); label++) {
          assertThat(staged.probabilities().get(label)).isEqualTo(probabilities.get(label));
        }
      }
    }
  }

  @Test
  void tooFewSlicesAreRefused() {
    MultiChannelImage image = image(new Extents(20, 9, 9), new Spacing(1, 1, 1), 1);
    try (Workers workers = Workers.of(1);
        Arena arena = Arena.ofShared()) {
      assertThatThrownBy(() ->
              VolumeSegmentation.run(
                  image,
                  plan(CT),
                  new StandIn(1, CLASSES),
                  Settings.PUBLISHED,
                  false,
                  PATCH.depth() - 1,
                  arena,
                  workers,
                  new StageClock()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("expected at most 5");
    }
  }

  /** Native memory of every size of volume, against the formula that refuses a case. */
  @ParameterizedTest(name = "{0} slices")
  @ValueSource(ints = {20, 60, 240})
  void nativeMemoryDoesNotGrowWithTheDepth(int depth) {
    Spacing spacing = new Spacing(4, 0.8, 0.9);
    PreprocessingPlan plan =
        new PreprocessingPlan(
            List.of(CT), new Spacing(4, 1, 1), AxisOrder.IDENTITY, SplineRule.PINNED);
    Extents extents = new Extents(depth, 25, 31);
    Extents seen = new Extents(depth, 20, 28);
    MultiChannelImage image = image(extents, spacing, 1);
    Arrays.fill(image.channels().getFirst(), 1); // nothing to crop
    AtomicLong bytes = new AtomicLong();
    try (Workers workers = Workers.of(2);
        Arena shared = Arena.ofShared()) {
      VolumeSegmentation.run(
          image,
          plan,
          new StandIn(1, CLASSES),
          new Settings(0.5, Mirroring.NONE),
          false,
          WindowedPrediction.leastSlices(PATCH),
          new CountingArena(shared, bytes),
          workers,
          new StageClock());
    }
    long slice = 4L * seen.height() * seen.width();
    assertThat(bytes).hasValue(slice * (PATCH.depth() + CLASSES * (PATCH.depth() + 1)));
    long rest = // weights, input, prediction and importance
        slice * (PATCH.depth() + 1) + 4 * PATCH.voxels() * (1 + CLASSES + 1);
    long peak =
        VolumeSegmentation.peakBytes(
            extents,
            spacing,
            plan,
            new StandIn(1, CLASSES),
            new Settings(0.5, Mirroring.NONE),
            false,
            2);
    long scratch = 2 * 45L * 25 * 31;
    assertThat(peak - bytes.get() - rest - extents.voxels()).isBetween(0L, scratch);
  }

  @Test
  void heapHoldsNoMoreThanTheLabels() {
    Extents extents = new Extents(600, 90, 90);
    MultiChannelImage image = image(extents, new Spacing(1, 1, 1), 1);
    Extents patch = PATCH;
    int[] calls = {0};
    long[] most = {0};
    long before = usedHeap();
    PatchPredictor network =
        new StandIn(1, CLASSES) {
          @Override
          public void fill(MemorySegment input, MemorySegment probabilities) {
            probabilities.fill((byte) 0);
            if (calls[0]++ % 40_000 == 20_000) {
              most[0] = Math.max(most[0], usedHeap() - before);
            }
          }
        };
    try (Workers workers = Workers.of(2)) {
      byte[] labels =
          VolumeSegmentation.run(
                  image,
                  plan(CT),
                  network,
                  new Settings(0.5, Mirroring.NONE),
                  false,
                  workers,
                  new StageClock())
              .labels();
      assertThat(labels).hasSize((int) extents.voxels());
    }
    assertThat(calls[0]).isGreaterThan(20_000 / (int) (patch.voxels() / 336));
    // Labels are 4.9 MB, and up to two regions of the collector of 4 MB each. The image, which was
    // there before, would be 19 MB a second time.
    assertThat(most[0]).isBetween(extents.voxels(), Float.BYTES * extents.voxels());
  }

  private static long usedHeap() {
    System.gc();
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  @Test
  void aCancelledRunLeavesNothing() throws InterruptedException {
    MultiChannelImage image = image(new Extents(60, 20, 20), new Spacing(1, 1, 1), 1);
    int[] calls = {0};
    PatchPredictor network =
        new StandIn(1, CLASSES) {
          @Override
          public void fill(MemorySegment input, MemorySegment probabilities) {
            calls[0]++;
            super.fill(input, probabilities);
          }
        };
    try (Workers workers = new Workers(2, () -> calls[0] == 100, Progress.NONE)) {
      assertThatThrownBy(() ->
              VolumeSegmentation.run(
                  image, plan(CT), network, Settings.PUBLISHED, false, workers, new StageClock()))
          .isInstanceOf(CancellationException.class);
    }
    assertThat(calls[0]).isEqualTo(100);
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      if (thread.getName().startsWith("unetrpp-pipeline")) {
        assertThat(thread.join(Duration.ofSeconds(10))).as(thread.getName()).isTrue();
      }
    }
  }

  @Test
  void everyStageIsTimed() {
    MultiChannelImage image = image(new Extents(40, 20, 20), new Spacing(1, 0.8, 0.8), 1);
    StageClock clock = new StageClock();
    long start = System.nanoTime();
    try (Workers workers = Workers.of(2)) {
      VolumeSegmentation.run(
          image, plan(CT), new StandIn(1, CLASSES), Settings.PUBLISHED, false, workers, clock);
    }
    double seconds = (System.nanoTime() - start) * 1e-9;
    double sum = 0;
    for (StageClock.Stage stage : StageClock.Stage.values()) {
      assertThat(clock.seconds(stage)).as(stage.name()).isPositive();
      sum += clock.seconds(stage);
    }
    assertThat(sum).isBetween(0.5 * seconds, seconds);
  }

  private static PreprocessingPlan plan(ChannelPlan channel) {
    return new PreprocessingPlan(
        List.of(channel), new Spacing(1, 1, 1), AxisOrder.IDENTITY, SplineRule.PINNED);
  }

  private static int[] numbers(String text) {
    return Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
  }

  /** Smooth, with noise, and zero around so that it is cropped. */
  private static MultiChannelImage image(Extents extents, Spacing spacing, int channels) {
    List<float[]> volumes = new ArrayList<>();
    for (int channel = 0; channel < channels; channel++) {
      float[] noise = Vectors.random(extents, 30 + channel);
      for (int voxel = 0; voxel < noise.length; voxel++) {
        int x = voxel % extents.width();
        int y = voxel / extents.width() % extents.height();
        int z = voxel / extents.width() / extents.height();
        boolean inside = z >= 1 && y >= 1 && y < extents.height() - 1 && x >= 2;
        double smooth = 40 * Math.sin(0.4 * z + 0.3 * y + channel) * Math.cos(0.5 * x);
        noise[voxel] = inside ? (float) smooth + 20 * noise[voxel] : 0;
      }
      volumes.add(noise);
    }
    return new MultiChannelImage(volumes, extents, spacing);
  }

  /** Counts the bytes that it gives. */
  private record CountingArena(Arena arena, AtomicLong bytes) implements Arena {
    @Override
    public MemorySegment allocate(long byteSize, long byteAlignment) {
      bytes.addAndGet(byteSize);
      return arena.allocate(byteSize, byteAlignment);
    }

    @Override
    public MemorySegment.Scope scope() {
      return arena.scope();
    }

    @Override
    public void close() {
      arena.close();
    }
  }

  /** Classes that depend on a voxel's values and on where it lies in the patch. */
  private static class StandIn implements FillingPredictor {
    private final int channels;
    private final int classes;

    StandIn(int channels, int classes) {
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
      return PATCH;
    }

    @Override
    public void fill(MemorySegment input, MemorySegment probabilities) {
      int voxels = Math.toIntExact(PATCH.voxels());
      double[] values = new double[classes];
      for (int voxel = 0; voxel < voxels; voxel++) {
        double sum = 0;
        for (int label = 0; label < classes; label++) {
          double value = 0.01 * ((voxel * (label + 3)) % 17);
          for (int channel = 0; channel < channels; channel++) {
            double intensity = input.getAtIndex(JAVA_FLOAT, (long) channel * voxels + voxel);
            value += Math.sin((label + 1) * intensity + channel);
          }
          values[label] = Math.exp(value);
          sum += values[label];
        }
        for (int label = 0; label < classes; label++) {
          probabilities.setAtIndex(
              JAVA_FLOAT, (long) label * voxels + voxel, (float) (values[label] / sum));
        }
      }
    }
  }
}
