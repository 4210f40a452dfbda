package org.unetrpp.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.engine.Device;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.memory.DType;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.SlidingWindow;
import org.unetrpp.testing.SmallModel;

class SegmenterTest {
  private static final int THREADS = 2;
  private static final SegmentationOptions QUICK =
      SegmentationOptions.PUBLISHED.withWindow(new SlidingWindow.Settings(1, Mirroring.NONE));
  private static final SegmentationOptions OVERLAPPING =
      SegmentationOptions.PUBLISHED.withWindow(new SlidingWindow.Settings(0.5, Mirroring.NONE));

  @TempDir Path folder;
  private Path model;

  @BeforeEach
  void writeModel() throws IOException {
    model = SmallModel.write(folder.resolve("small.safetensors"), 1);
  }

  @Test
  void labelsLieOnTheGridOfTheImageWithTheValuesOfTheModel() throws IOException {
    Volume image = SmallModel.image("image", 20, 40, 36);
    try (Segmenter segmenter = open(model)) {
      LabelVolume labels = segmenter.segment(List.of(image), SegmentationOptions.PUBLISHED);
      assertThat(labels.geometry()).isEqualTo(image.geometry());
      assertThat(labels.labels()).containsOnly(0, 2, 7).contains(2, 7);
    }
  }

  @Test
  void channelsInfluenceTheResultInTheirOrder() throws IOException {
    Volume first = SmallModel.image("first", 16, 32, 32);
    Volume second = SmallModel.image("second", 16, 32, 32);
    Path two = SmallModel.write(folder.resolve("two.safetensors"), 2);
    try (Segmenter segmenter = open(two)) {
      byte[] labels = segmenter.segment(List.of(first, second), QUICK).labels();
      byte[] swapped = segmenter.segment(List.of(second, first), QUICK).labels();
      assertThat(labels).containsOnly(0, 2, 7).isNotEqualTo(swapped);
    }
  }

  @Test
  void wrongNumberOfChannelsIsRefusedWithTheirNames() throws IOException {
    Volume image = SmallModel.image("image", 16, 32, 32);
    Path two = SmallModel.write(folder.resolve("two.safetensors"), 2);
    try (Segmenter segmenter = open(two)) {
      assertThatThrownBy(() -> segmenter.segment(List.of(image), QUICK))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("1 channels, but the model needs 2: CT, T1w");
      assertThatThrownBy(() -> segmenter.segment(List.of(), QUICK))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("0 channels, but the model needs 2: CT, T1w");
    }
  }

  @Test
  void channelsOnDifferentGridsAreRefused() throws IOException {
    Volume image = SmallModel.image("image", 16, 32, 32);
    Volume larger = SmallModel.image("image", 17, 32, 32);
    Volume elsewhere =
        new Volume(
            new Geometry(image.extents(), Affine.ofSpacing(new Spacing(1.5, 1, 1.01))),
            image.voxels());
    Path two = SmallModel.write(folder.resolve("two.safetensors"), 2);
    try (Segmenter segmenter = open(two)) {
      for (Volume other : List.of(larger, elsewhere)) {
        assertThatThrownBy(() -> segmenter.segment(List.of(image, other), QUICK))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("the channels lie on different grids");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void whatIsNoNumberIsRefusedByItsPlace(float value) throws IOException {
    Volume image = SmallModel.image("image", 16, 32, 32);
    image.voxels()[(3 * 32 + 5) * 32 + 7] = value;
    try (Segmenter segmenter = open(model)) {
      assertThatThrownBy(() -> segmenter.segment(List.of(image), QUICK))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("channel 0 is " + value + " at voxel (3, 5, 7), expected a finite number");
    }
  }

  @ParameterizedTest(name = "{0}x{1}x{2}")
  @CsvSource({"1, 40, 40", "5, 7, 9", "1, 1, 1", "40, 3, 3"})
  void imagesOfFewVoxelsAreSegmented(int depth, int height, int width) throws IOException {
    Volume image = SmallModel.image("image", depth, height, width);
    try (Segmenter segmenter = open(model)) {
      LabelVolume labels = segmenter.segment(List.of(image), OVERLAPPING);
      assertThat(labels.extents()).isEqualTo(image.extents());
    }
  }

  @Test
  void imageOfZerosIsSegmented() throws IOException {
    Volume image =
        new Volume(SmallModel.image("image", 16, 32, 32).geometry(), new float[16 * 32 * 32]);
    try (Segmenter segmenter = open(model)) {
      assertThat(segmenter.segment(List.of(image), OVERLAPPING).labels())
          .hasSize(16 * 32 * 32)
          .containsAnyOf(0, 2, 7);
    }
  }

  @Test
  void resultIsTheSameBytesForAnyNumberOfThreads() throws IOException {
    Volume image = SmallModel.image("image", 25, 50, 41);
    List<byte[]> results = new ArrayList<>();
    List<List<float[]>> probabilities = new ArrayList<>();
    for (int threads : new int[] {1, 2, 5}) {
      List<float[]> classes = new ArrayList<>();
      try (Segmenter segmenter = Segmenter.open(model, new Device.Cpu(), threads)) {
        SegmentationOptions options =
            OVERLAPPING.withProbabilities((_, values) -> classes.add(values));
        results.add(segmenter.segment(List.of(image), options).labels());
      }
      probabilities.add(classes);
    }
    for (int i = 1; i < results.size(); i++) {
      assertThat(results.get(i)).isEqualTo(results.getFirst());
      for (int label = 0; label < 3; label++) {
        assertThat(probabilities.get(i).get(label)).isEqualTo(probabilities.getFirst().get(label));
      }
    }
  }

  @Test
  void threadsShareASegmenter() throws Exception {
    List<Volume> images = new ArrayList<>();
    List<byte[]> alone = new ArrayList<>();
    try (Segmenter segmenter = open(model);
        ExecutorService threads = Executors.newFixedThreadPool(8)) {
      for (int i = 0; i < 8; i++) {
        images.add(SmallModel.image("image " + i, 17 + i, 33, 40));
        alone.add(segmenter.segment(List.of(images.get(i)), OVERLAPPING).labels());
      }
      List<Future<LabelVolume>> together =
          images.stream()
              .map(image -> threads.submit(() -> segmenter.segment(List.of(image), OVERLAPPING)))
              .toList();
      for (int i = 0; i < 8; i++) {
        assertThat(together.get(i).get().labels()).isEqualTo(alone.get(i));
      }
    }
  }

  @Test
  void cancelledRunEndsSoonAndLeavesTheSegmenterUsable() throws IOException {
    Volume image = SmallModel.image("image", 40, 64, 64);
    AtomicInteger patches = new AtomicInteger();
    try (Segmenter segmenter = open(model)) {
      SegmentationOptions options =
          SegmentationOptions.PUBLISHED
              .withProgress((stage, _, _) -> patches.addAndGet(stage.equals("predicting") ? 1 : 0))
              .cancelledWhen(() -> patches.get() >= 3);
      assertThatThrownBy(() -> segmenter.segment(List.of(image), options))
          .isInstanceOf(CancellationException.class);
      assertThat(patches).hasValue(3);
      Volume small = SmallModel.image("image", 16, 32, 32);
      assertThat(segmenter.segment(List.of(small), QUICK).labels()).contains(2);
    }
  }

  @Test
  void interruptCancelsAndIsKept() throws IOException {
    Volume image = SmallModel.image("image", 40, 64, 64);
    try (Segmenter segmenter = open(model)) {
      SegmentationOptions options =
          OVERLAPPING.withProgress((stage, _, _) -> {
            if (stage.equals("predicting")) {
              Thread.currentThread().interrupt();
            }
          });
      assertThatThrownBy(() -> segmenter.segment(List.of(image), options))
          .isInstanceOf(CancellationException.class);
      assertThat(Thread.interrupted()).isTrue();
      Volume small = SmallModel.image("image", 16, 32, 32);
      assertThat(segmenter.segment(List.of(small), QUICK).labels()).contains(2);
    }
  }

  @Test
  @SuppressWarnings("MustBeClosedChecker") // closed by another thread
  void closeWaitsForARunningSegmentation() throws Exception {
    Volume image = SmallModel.image("image", 16, 32, 32);
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    Segmenter segmenter = open(model);
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      Future<LabelVolume> result =
          threads.submit(() ->
              segmenter.segment(
                  List.of(image),
                  QUICK.withProgress((_, _, _) -> {
                    running.countDown();
                    awaitQuietly(goOn);
                  })));
      running.await();
      Future<?> closing = threads.submit(segmenter::close);
      assertThatThrownBy(() -> closing.get(100, TimeUnit.MILLISECONDS))
          .isInstanceOf(TimeoutException.class);
      goOn.countDown();
      assertThat(result.get().labels()).contains(2);
      closing.get();
    }
    assertThatThrownBy(() -> segmenter.segment(List.of(image), QUICK))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the segmenter is closed");
    segmenter.close(); // a second time does nothing
  }

  @Test
  void closeWithinASegmentationIsRefused() throws IOException {
    Volume image = SmallModel.image("image", 16, 32, 32);
    try (Segmenter segmenter = open(model)) {
      Runnable close = segmenter::close;
      SegmentationOptions options = QUICK.withProgress((_, _, _) -> close.run());
      assertThatThrownBy(() -> segmenter.segment(List.of(image), options))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("within a segmentation");
    }
  }

  @Test
  void probabilitiesSumToOneAndTheirLargestIsTheLabel() throws IOException {
    Volume image = SmallModel.image("image", 20, 40, 36);
    List<LabelClass> classes = new ArrayList<>();
    List<float[]> probabilities = new ArrayList<>();
    byte[] labels;
    try (Segmenter segmenter = open(model)) {
      SegmentationOptions options =
          OVERLAPPING.withProbabilities((label, values) -> {
            classes.add(label);
            probabilities.add(values);
          });
      labels = segmenter.segment(List.of(image), options).labels();
    }
    assertThat(classes).isEqualTo(SmallModel.description(1).labels());
    for (int voxel = 0; voxel < labels.length; voxel++) {
      double sum = 0;
      int best = 0;
      for (int label = 0; label < 3; label++) {
        sum += probabilities.get(label)[voxel];
        if (probabilities.get(label)[voxel] > probabilities.get(best)[voxel]) {
          best = label;
        }
      }
      // Softmax, 8 weighted sums, a quotient and two interpolations, each rounded to 2^-24.
      assertThat(sum).isBetween(1 - 0x1p-19, 1 + 0x1p-19);
      assertThat(Byte.toUnsignedInt(labels[voxel])).isEqualTo(classes.get(best).value());
    }
    // The border of the image is zero, so it is cropped and certainly background.
    assertThat(probabilities.getFirst()[0]).isEqualTo(1);
    assertThat(probabilities.get(1)[0]).isZero();
  }

  @Test
  void progressOfPatchesCountsUpToTheirNumber() throws IOException {
    List<Long> done = new ArrayList<>();
    List<Long> totals = new ArrayList<>();
    try (Segmenter segmenter = open(model)) {
      Volume image = SmallModel.image("image", 16, 34, 34);
      segmenter.segment(
          List.of(image),
          SegmentationOptions.PUBLISHED.withProgress((stage, count, total) -> {
            if (stage.equals("predicting")) {
              done.add(count);
              totals.add(total);
            }
          }));
    }
    // 16 slices of 1.5 mm are 19 of 1.25 mm: two windows, mirrored in 8 ways.
    assertThat(totals).hasSize(16).containsOnly(16L);
    assertThat(done).isSorted().doesNotHaveDuplicates().endsWith(16L);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void manyCallsDoNotGrowTheProcess() throws IOException {
    Volume image = SmallModel.image("image", 12, 34, 34);
    try (Segmenter segmenter = open(model)) {
      for (int i = 0; i < 100; i++) {
        segmenter.segment(List.of(image), QUICK);
      }
      long before = residentKilobytes();
      for (int i = 0; i < 200; i++) {
        segmenter.segment(List.of(image), QUICK);
      }
      assertThat((double) residentKilobytes() / before).isLessThan(1.05);
    }
  }

  @Test
  void severalModelsGiveTheMeanOfTheirProbabilities() throws IOException {
    Volume image = SmallModel.image("image", 20, 40, 36);
    Path other = SmallModel.writeOther(folder.resolve("other.safetensors"));
    List<float[]> first = probabilities(List.of(model), image);
    List<float[]> second = probabilities(List.of(other), image);
    List<float[]> both = probabilities(List.of(model, other), image);
    List<float[]> twice = probabilities(List.of(model, model, model), image);
    assertThat(first.getFirst()).isNotEqualTo(second.getFirst());
    for (int label = 0; label < 3; label++) {
      for (int voxel = 0; voxel < image.voxels().length; voxel++) {
        float mean = (first.get(label)[voxel] + second.get(label)[voxel]) / 2;
        // Sums of some windows' products in another order: some roundings of a number below 1.
        assertThat(both.get(label)[voxel]).isCloseTo(mean, within(1e-6f));
        assertThat(twice.get(label)[voxel]).isCloseTo(first.get(label)[voxel], within(1e-6f));
      }
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // closed in the end
  private static List<float[]> probabilities(List<Path> models, Volume image) throws IOException {
    List<float[]> probabilities = new ArrayList<>();
    List<ModelFile> files = new ArrayList<>();
    for (Path path : models) {
      files.add(ModelFile.open(path));
    }
    try (Segmenter segmenter = Segmenter.open(files, new Device.Cpu(), THREADS, DType.FLOAT32)) {
      segmenter.segment(
          List.of(image), OVERLAPPING.withProbabilities((_, values) -> probabilities.add(values)));
    } finally {
      files.forEach(ModelFile::close);
    }
    return probabilities;
  }

  @Test
  void modelsOfOneEnsembleAreOfOneKind() throws IOException {
    Path own = SmallModel.writeAtOwnSpacing(folder.resolve("own.safetensors"));
    assertThatThrownBy(
            () -> probabilities(List.of(model, own), SmallModel.image("image", 20, 40, 36)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "model 2 has another network or preprocessing than the first; save the probabilities "
                + "of each model and average them with 'unetrpp ensemble'");
  }

  @Test
  @SuppressWarnings("MustBeClosedChecker") // the predictor closes what it loads
  void patchesLeaveNothingOnTheDevice() throws IOException {
    try (ModelFile file = ModelFile.open(model);
        Backend backend = new CpuBackend(THREADS);
        Arena arena = Arena.ofConfined()) {
      try (NetworkPredictor predictor =
          new NetworkPredictor(SmallModel.architecture(1), List.of(() -> file.load(backend)))) {
        long voxels = SmallModel.PATCH.voxels();
        MemorySegment input = arena.allocate(voxels * Float.BYTES, 64);
        predictor.predict(input, _ -> {});
        long inUse = backend.allocator().bytesInUse();
        for (int i = 0; i < 20; i++) {
          predictor.predict(input, _ -> {});
          assertThat(backend.allocator().bytesInUse()).isEqualTo(inUse);
        }
      }
      assertThat(backend.allocator().bytesInUse()).isZero();
    }
  }

  @Test
  void reportTellsLabelsAndTimes() throws IOException {
    Volume image = SmallModel.image("image", 40, 48, 48);
    try (Segmenter segmenter = open(model)) {
      SegmentationReport report = segmenter.report(List.of(image), OVERLAPPING);
      assertThat(report.labels().labels())
          .isEqualTo(segmenter.segment(List.of(image), OVERLAPPING).labels());
      StageTimes times = report.times();
      assertThat(List.of(times.preprocess(), times.network(), times.aggregate(), times.finish()))
          .allMatch(seconds -> seconds > 0);
      assertThat(times.network()).isGreaterThan(0.3 * times.total());
    }
  }

  /** A busy machine may be several times slower the one time than the other. */
  @Test
  void estimateIsOfTheOrderOfTheRun() throws IOException {
    Volume image = SmallModel.image("image", 60, 80, 80);
    try (Segmenter segmenter = open(model)) {
      segmenter.segment(List.of(image), OVERLAPPING);
      SegmentationEstimate estimate = segmenter.estimate(List.of(image), OVERLAPPING);
      double seconds = segmenter.report(List.of(image), OVERLAPPING).times().total();
      assertThat(estimate.times().total()).isBetween(0.2 * seconds, 5 * seconds);
      assertThat(estimate.peakBytes())
          .isGreaterThan(segmenter.peakBytes(image.geometry(), OVERLAPPING));
      assertThatThrownBy(() -> segmenter.estimate(List.of(), OVERLAPPING))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void networkTakesAtLeastItsParameters() throws IOException {
    try (Segmenter segmenter = open(model)) {
      assertThat(segmenter.networkBytes()).isGreaterThan(4L * 10_000).isLessThan(1L << 30);
    }
  }

  @Test
  void peakIsEstimatedFromTheGrid() throws IOException {
    try (Segmenter segmenter = open(model)) {
      SegmentationOptions saving = QUICK.withProbabilities((_, _) -> {});
      long thin = segmenter.peakBytes(SmallModel.image("a", 64, 64, 64).geometry(), QUICK);
      long deep = segmenter.peakBytes(SmallModel.image("a", 128, 64, 64).geometry(), QUICK);
      long kept = segmenter.peakBytes(SmallModel.image("a", 128, 64, 64).geometry(), saving);
      // Only the labels and the bits of what is not zero grow with the depth.
      assertThat(deep - thin).isEqualTo(64L * 64 * 64);
      assertThat(kept - deep).isEqualTo(3L * Float.BYTES * 128 * 64 * 64);
      assertThat(deep).isGreaterThan(17L * 64 * 64 * 4 * Float.BYTES);
    }
  }

  @MustBeClosed
  private static Segmenter open(Path path) throws IOException {
    return Segmenter.open(path, new Device.Cpu(), THREADS);
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException("nobody interrupts this test", e);
    }
  }

  private static long residentKilobytes() throws IOException {
    System.gc();
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
        .findFirst()
        .orElseThrow();
  }
}
