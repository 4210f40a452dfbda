package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.cuda.CountingCuda;
import org.unetrpp.backend.cuda.CudaBackend;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.backend.cuda.driver.TimedDriver;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.memory.DType;
import org.unetrpp.pipeline.SlidingWindow.Settings;
import org.unetrpp.window.WindowEngine;

/** Windows on a device that the processor plays give the bytes of those that the host adds up. */
class ResidentWindowsTest {
  private static final Extents PATCH = new Extents(4, 6, 5);
  private static final int CLASSES = 3;
  private static final ChannelPlan CT =
      new ChannelPlan(
          "CT", NormalizationScheme.CT, false, new IntensityStatistics(10, 30, -40, 90));

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  private static int[] numbers(String text) {
    return Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
  }

  private static Mirroring mirroring(String axes) {
    return new Mirroring(axes.contains("0"), axes.contains("1"), axes.contains("2"));
  }

  private static List<float[]> noise(Extents extents, int channels) {
    return IntStream.range(0, channels)
        .mapToObj(channel -> Vectors.random(extents, 5 + channel))
        .toList();
  }

  /** Probabilities of each class, of an image that is kept on the device. */
  private static List<float[]> onDevice(
      List<float[]> channels, Extents image, DeviceNetwork network, Settings settings) {
    List<float[]> classes = new ArrayList<>();
    for (int label = 0; label < network.classes(); label++) {
      classes.add(new float[Math.toIntExact(image.voxels())]);
    }
    int[] taken = new int[1];
    int area = image.height() * image.width();
    try (Workers workers = Workers.of(2);
        Arena arena = Arena.ofShared()) {
      SlidingWindow.streamResident(
          new WindowedImage.Whole(channels, image),
          network,
          SlidingWindow.residence(image, network, settings).orElseThrow(),
          settings,
          workers,
          new StageClock(),
          windows -> windows.downloaded(network.classes(), arena),
          (ring, end) -> {
            for (int label = 0; label < network.classes(); label++) {
              for (int slice = taken[0]; slice < end; slice++) {
                float[] values = ring.slice(label, slice).toArray(JAVA_FLOAT);
                System.arraycopy(values, 0, classes.get(label), slice * area, area);
              }
            }
            taken[0] = end;
            return end;
          });
    }
    return classes;
  }

  private static List<float[]> onHost(
      List<float[]> channels, Extents image, DeviceNetwork network, Settings settings) {
    try (Workers workers = Workers.of(2);
        Arena arena = Arena.ofShared()) {
      return SlidingWindow.run(channels, image, network, settings, arena, workers)
          .classes()
          .stream()
          .map(values -> values.toArray(JAVA_FLOAT))
          .toList();
    }
  }

  private static void assertSame(float[] actual, float[] expected) {
    assertThat(Arrays.mismatch(actual, expected)).isEqualTo(-1);
  }

  @ParameterizedTest(name = "image {0} of {1} channels, mirrored {2}, {3}")
  @CsvSource({
    "7x9x11, 2, 012, FLOAT32",
    "13x9x11, 1, 012, BFLOAT16",
    "4x6x5, 2, 012, FLOAT32", // one window that fits
    "4x6x5, 1, '', FLOAT32",
    "3x5x4, 2, 012, FLOAT32", // smaller than the patch along every axis
    "3x5x4, 1, '', BFLOAT16",
    "1x9x11, 2, 02, FLOAT32", // one slice, two windows at once
    "13x3x8, 1, 1, BFLOAT16", // four windows at once
    "14x20x18, 2, '', FLOAT32", // eight at once, or rather as many as suit 36
    "23x6x5, 1, 2, FLOAT32" // one window a place
  })
  void probabilitiesAreThoseOfTheHostToTheBit(String size, int channels, String axes, DType type) {
    Extents image = Extents.of(numbers(size.replace('x', ' ')));
    Settings settings = new Settings(0.5, mirroring(axes));
    List<float[]> noise = noise(image, channels);
    try (Backend backend = EmulatedCuda.open(type);
        DeviceNetwork network = new DeviceNetwork(backend, channels, CLASSES, PATCH)) {
      List<float[]> expected = onHost(noise, image, network, settings);
      int patches = network.patches();
      List<float[]> actual = onDevice(noise, image, network, settings);
      assertThat(network.patches()).isEqualTo(patches);
      for (int label = 0; label < CLASSES; label++) {
        assertSame(actual.get(label), expected.get(label));
      }
    }
  }

  /** Labels of the device, and of the host from its probabilities, against those of the host. */
  @ParameterizedTest(name = "{0} of {1} mm, axes {2}, mirrored {3}")
  @CsvSource({
    "15x17x19, 1 1 1, 0 1 2, ''", // nothing to resample
    "15x17x19, 1.2 0.8 0.9, 0 1 2, 012",
    "15x17x19, 4 0.8 0.9, 0 1 2, 0", // nearest slices, more of them
    "23x9x10, 0.3 1.1 0.9, 0 1 2, ''", // fewer slices
    "15x17x19, 1 0.8 0.9, 0 1 2, 1", // the depth stays
    "11x17x13, 0.9 4 0.8, 1 0 2, ''",
    "11x13x17, 0.9 0.8 4, 2 0 1, ''",
    "9x15x11, 1 1 1, 1 2 0, ''",
    "11x13x17, 1.2 0.9 0.7, 2 1 0, 0",
    "17x11x13, 0.9 4 0.8, 0 2 1, ''",
    "4x5x6, 1.1 0.8 0.9, 0 1 2, 012" // hardly larger than the patch
  })
  void labelsAreThoseOfTheHost(String size, String spacing, String axes, String mirrored) {
    Extents extents = Extents.of(numbers(size.replace('x', ' ')));
    double[] millimeters =
        Arrays.stream(spacing.split(" ")).mapToDouble(Double::parseDouble).toArray();
    int[] order = numbers(axes);
    PreprocessingPlan plan =
        new PreprocessingPlan(
            List.of(CT),
            new Spacing(1, 1, 1),
            new AxisOrder(order[0], order[1], order[2]),
            SplineRule.PINNED);
    MultiChannelImage image =
        image(extents, new Spacing(millimeters[0], millimeters[1], millimeters[2]));
    Settings settings = new Settings(0.5, mirroring(mirrored));
    try (Backend backend = EmulatedCuda.open(DType.FLOAT32);
        DeviceNetwork network = new DeviceNetwork(backend, 1, CLASSES, PATCH);
        Workers workers = Workers.of(2)) {
      VolumeSegmentation.Result expected =
          run(image, plan, network.onHost(true), settings, true, workers);
      assertThat(IntStream.range(0, expected.labels().length).map(v -> expected.labels()[v]))
          .contains(1, 2);
      int patches = network.patches();
      VolumeSegmentation.Result labels =
          run(image, plan, network.onHost(false), settings, false, workers);
      assertThat(Arrays.mismatch(labels.labels(), expected.labels())).isEqualTo(-1);
      assertThat(labels.probabilities()).isEmpty();
      VolumeSegmentation.Result both = run(image, plan, network, settings, true, workers);
      assertThat(Arrays.mismatch(both.labels(), expected.labels())).isEqualTo(-1);
      for (int label = 0; label < CLASSES; label++) {
        assertSame(both.probabilities().get(label), expected.probabilities().get(label));
      }
      assertThat(network.patches()).isEqualTo(patches);
    }
  }

  private static VolumeSegmentation.Result run(
      MultiChannelImage image,
      PreprocessingPlan plan,
      DeviceNetwork network,
      Settings settings,
      boolean takesProbabilities,
      Workers workers) {
    return VolumeSegmentation.run(
        image, plan, network, settings, takesProbabilities, workers, new StageClock());
  }

  /** Smooth, with noise, and zero around so that it is cropped. */
  private static MultiChannelImage image(Extents extents, Spacing spacing) {
    float[] voxels = Vectors.random(extents, 30);
    for (int voxel = 0; voxel < voxels.length; voxel++) {
      int x = voxel % extents.width();
      int y = voxel / extents.width() % extents.height();
      int z = voxel / extents.width() / extents.height();
      boolean inside = z >= 1 && y >= 1 && x >= 2;
      double smooth = 40 * Math.sin(0.4 * z + 0.3 * y) * Math.cos(0.5 * x);
      voxels[voxel] = inside ? (float) smooth + 20 * voxels[voxel] : 0;
    }
    return new MultiChannelImage(List.of(voxels), extents, spacing);
  }

  /** Work that runs as late as it may shows pinned memory that is written too early. */
  @Test
  void nothingIsWrittenBeforeItWasCopied() {
    Extents image = new Extents(17, 14, 12);
    Settings settings = new Settings(0.5, new Mirroring(true, false, false));
    List<float[]> noise = noise(image, 2);
    try (CudaBackend backend = new CudaBackend(EmulatedCuda.late(1 << 28), DType.FLOAT32);
        DeviceNetwork network = new DeviceNetwork(backend, 2, CLASSES, PATCH)) {
      List<float[]> expected = onHost(noise, image, network, settings);
      List<float[]> actual = onDevice(noise, image, network, settings);
      for (int label = 0; label < CLASSES; label++) {
        assertSame(actual.get(label), expected.get(label));
      }
    }
  }

  @Test
  void memoryOfTheDeviceDoesNotGrowWithTheDepth() {
    long bytes = mostBytes(20);
    assertThat(mostBytes(60)).isEqualTo(bytes);
    assertThat(mostBytes(180)).isEqualTo(bytes);
  }

  private static long mostBytes(int depth) {
    Extents image = new Extents(depth, 34, 32); // of which the slices take more than the network
    Settings settings = new Settings(0.5, Mirroring.NONE);
    TimedDriver driver = EmulatedCuda.late(1 << 28);
    try (CudaBackend backend = new CudaBackend(driver, DType.FLOAT32);
        DeviceNetwork network = new DeviceNetwork(backend, 1, CLASSES, PATCH)) {
      long before = backend.allocator().bytesInUse();
      long planned = onDeviceBytes(image, network, settings, backend);
      assertThat(planned).isGreaterThan(before);
      assertThat(onDeviceBytes(image, network, settings, backend)).isEqualTo(planned);
      return driver.mostBytes();
    }
  }

  /** Bytes in use after an image. */
  private static long onDeviceBytes(
      Extents image, DeviceNetwork network, Settings settings, CudaBackend backend) {
    onDevice(noise(image, 1), image, network, settings);
    return backend.allocator().bytesInUse();
  }

  @Test
  void aDeviceWithoutTheMemoryLeavesItToTheHost() {
    Extents image = new Extents(9, 512, 512);
    Settings settings = new Settings(0.5, Mirroring.NONE);
    try (CudaBackend backend = new CudaBackend(EmulatedCuda.late(80 << 20), DType.FLOAT32);
        DeviceNetwork network = new DeviceNetwork(backend, 1, CLASSES, PATCH)) {
      assertThat(SlidingWindow.residence(new Extents(9, 51, 51), network, settings)).isPresent();
      assertThat(SlidingWindow.residence(image, network, settings)).isEmpty();
      WindowEngine engine = network.windows().orElseThrow();
      assertThat(engine.holds(ResidentWindows.volume(image, PATCH, settings))).isFalse();
    }
  }

  @Test
  void eachWindowIsAddedOnceWhenWeightsHaveChanged() {
    Extents image = new Extents(7, 9, 11);
    Settings settings = new Settings(0.5, Mirroring.ALL);
    List<float[]> noise = noise(image, 1);
    try (Backend backend = EmulatedCuda.open(DType.BFLOAT16);
        DeviceNetwork network = new DeviceNetwork(backend, 1, CLASSES, PATCH)) {
      List<float[]> before = onDevice(noise, image, network, settings);
      network.changeWeight(0.7f);
      List<float[]> actual = onDevice(noise, image, network, settings);
      List<float[]> expected = onHost(noise, image, network, settings);
      assertSame(actual.get(0), expected.get(0));
      assertThat(Arrays.mismatch(actual.get(0), before.get(0))).isNotNegative();
    }
  }

  @Test
  void aCancelledRunLeavesTheDeviceUsable() {
    Extents image = new Extents(9, 13, 10);
    Settings settings = new Settings(0.5, Mirroring.ALL);
    List<float[]> noise = noise(image, 1);
    int[] steps = new int[1];
    try (Backend backend = EmulatedCuda.open(DType.FLOAT32);
        DeviceNetwork network = new DeviceNetwork(backend, 1, CLASSES, PATCH)) {
      List<float[]> expected = onHost(noise, image, network, settings);
      WindowEngine engine = SlidingWindow.residence(image, network, settings).orElseThrow();
      long before = backend.allocator().bytesInUse();
      try (Workers workers =
          new Workers(
              2,
              () -> steps[0] == 3,
              (stage, _, _) -> steps[0] += stage.equals("predicting") ? 1 : 0)) {
        assertThatThrownBy(() ->
                SlidingWindow.streamResident(
                    new WindowedImage.Whole(noise, image),
                    network,
                    engine,
                    settings,
                    workers,
                    new StageClock(),
                    windows -> windows,
                    (_, end) -> end))
            .isInstanceOf(CancellationException.class);
      }
      assertThat(steps[0]).isEqualTo(3);
      assertThat(backend.allocator().bytesInUse()).isEqualTo(before);
      assertSame(onDevice(noise, image, network, settings).get(1), expected.get(1));
    }
  }

  /** A window in all mirrorings, or some windows, are one launch; a slab takes one more. */
  @ParameterizedTest(name = "mirrored {0}: {1} of {2} windows at once")
  @CsvSource({"012, 1, 36", "02, 2, 18", "'', 6, 6"})
  void aStepIsOneLaunch(String axes, int windows, int steps) {
    Extents image = new Extents(8, 12, 12); // 3 slabs of 3 x 4 windows
    Settings settings = new Settings(0.5, mirroring(axes));
    CountingCuda counting = new CountingCuda();
    try (CudaBackend backend = counting.open(DType.FLOAT32);
        DeviceNetwork network = new DeviceNetwork(backend, 1, CLASSES, PATCH)) {
      assertThat(SlidingWindow.residence(image, network, settings)).isPresent();
      assertThat(counting.launchesOf("window_gather_f32")).isEqualTo(1);
      assertThat(counting.launchesOf("window_accumulate_f32")).isEqualTo(windows);
      Map<String, Integer> before = counting.launchesAlone();
      onDevice(noise(image, 1), image, network, settings);
      assertThat(counting.graphLaunches()).isEqualTo(steps);
      Map<String, Integer> alone = new HashMap<>(counting.launchesAlone());
      before.forEach((kernel, count) -> alone.merge(kernel, -count, Integer::sum));
      alone.values().removeIf(count -> count == 0);
      assertThat(alone).containsExactly(Map.entry("window_average", 3));
    }
  }

  @Test
  void progressCountsPredictions() {
    Extents image = new Extents(7, 9, 11);
    List<Long> done = new ArrayList<>();
    try (Backend backend = EmulatedCuda.open(DType.FLOAT32);
        DeviceNetwork network = new DeviceNetwork(backend, 1, CLASSES, PATCH);
        Workers workers =
            new Workers(
                1,
                () -> false,
                (stage, count, total) -> {
                  assertThat(stage).isEqualTo("predicting");
                  assertThat(total).isEqualTo(3 * 2 * 4 * 2); // windows, each in two ways
                  done.add(count);
                })) {
      Settings settings = new Settings(0.5, new Mirroring(false, true, false));
      SlidingWindow.streamResident(
          new WindowedImage.Whole(noise(image, 1), image),
          network,
          SlidingWindow.residence(image, network, settings).orElseThrow(),
          settings,
          workers,
          new StageClock(),
          windows -> windows,
          (_, end) -> end);
    }
    assertThat(done).isSorted().doesNotHaveDuplicates().endsWith(48L);
  }

  @Test
  void aNetworkThatGivesNoNumberIsReported() {
    Extents image = new Extents(9, 13, 10);
    Settings settings = new Settings(0.5, Mirroring.NONE);
    List<float[]> noise = noise(image, 1);
    try (Backend backend = EmulatedCuda.open(DType.FLOAT32);
        DeviceNetwork network = new DeviceNetwork(backend, 1, CLASSES, PATCH)) {
      onDevice(noise, image, network, settings); // the step is recorded
      network.changeWeight(Float.NaN);
      String message =
          "the network gave NaN for class %s at voxel (0, 0, 0), expected a probability";
      assertThatThrownBy(() -> onDevice(noise, image, network, settings))
          .isInstanceOf(ArithmeticException.class)
          .hasMessage(message, 0);
      assertThatThrownBy(() -> onHost(noise, image, network, settings))
          .isInstanceOf(ArithmeticException.class)
          .hasMessageContaining("the network gave NaN for class");
    }
  }
}
