package org.unetrpp.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Volume;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.ForwardPlan;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.MultiChannelImage;
import org.unetrpp.pipeline.PatchPredictor;
import org.unetrpp.pipeline.SlidingWindow.Settings;
import org.unetrpp.pipeline.StageClock;
import org.unetrpp.pipeline.VolumeSegmentation;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.testing.SmallModel;

/** Segmentation where the whole image is on a device that the processor plays. */
class ResidentSegmentationTest {
  private static final Settings PLAIN = new Settings(0.5, Mirroring.NONE);

  @TempDir Path folder;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  /**
   * A network whose windows are added up on the host, patch by patch, each the first of a batch as
   * large as one of the device: how sums are split depends on that.
   */
  private record OnHost(Architecture architecture, ForwardPlan plan, int batch)
      implements PatchPredictor {
    @Override
    public int channels() {
      return architecture.inputChannels();
    }

    @Override
    public int classes() {
      return architecture.classes();
    }

    @Override
    public Extents patch() {
      return architecture.patch();
    }

    @Override
    public void predict(MemorySegment input, Consumer<MemorySegment> consumer) {
      try (Arena arena = Arena.ofShared()) {
        MemorySegment patches = arena.allocate(batch * input.byteSize(), Float.BYTES);
        patches.copyFrom(input);
        long bytes = (long) Float.BYTES * classes() * patch().voxels();
        plan.run(patches, values -> consumer.accept(values.asSlice(0, bytes)));
      }
    }
  }

  private static VolumeSegmentation.Result run(
      List<Volume> channels, ModelFile model, PatchPredictor predictor, Settings settings) {
    MultiChannelImage image =
        new MultiChannelImage(
            channels.stream().map(Volume::voxels).toList(),
            channels.getFirst().geometry().extents(),
            channels.getFirst().geometry().spacing());
    try (Workers workers = Workers.of(2)) {
      return VolumeSegmentation.run(
          image,
          model.description().preprocessing(),
          predictor,
          settings,
          true,
          workers,
          new StageClock());
    }
  }

  @ParameterizedTest(name = "{0}, {1} channels, mirrored along the depth {2}: {3} at once")
  @CsvSource({"FLOAT32, 1, false, 2", "FLOAT32, 2, true, 4", "BFLOAT16, 1, true, 4"})
  @SuppressWarnings("MustBeClosedChecker") // the plan closes the parameters
  void aNetworkGivesTheBytesOfTheHostsWindows(DType type, int channels, boolean mirrored, int batch)
      throws IOException {
    List<Volume> image = new ArrayList<>();
    for (int channel = 0; channel < channels; channel++) {
      image.add(SmallModel.image("image " + channel, 15, 35, 30));
    }
    Settings settings = new Settings(0.5, new Mirroring(mirrored, false, false));
    try (ModelFile model = model(channels);
        Backend backend = EmulatedCuda.open(type)) {
      Architecture architecture = model.description().architecture();
      VolumeSegmentation.Result expected;
      try (ForwardPlan plan =
          new ForwardPlan(architecture, model.load(backend), batch, HeadOutput.PROBABILITIES)) {
        expected = run(image, model, new OnHost(architecture, plan, batch), settings);
      }
      VolumeSegmentation.Result actual;
      try (NetworkPredictor predictor =
          new NetworkPredictor(architecture, List.of(() -> model.load(backend)))) {
        actual = run(image, model, predictor, settings);
      }
      assertThat(actual.labels()).contains(1, 2);
      assertThat(Arrays.mismatch(actual.labels(), expected.labels())).isEqualTo(-1);
      for (int label = 0; label < 3; label++) {
        float[] values = expected.probabilities().get(label);
        assertThat(Arrays.mismatch(actual.probabilities().get(label), values)).isEqualTo(-1);
      }
    }
  }

  @MustBeClosed
  private ModelFile model(int channels) throws IOException {
    return ModelFile.open(SmallModel.write(folder.resolve(channels + ".safetensors"), channels));
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the segmenter closes the backend
  private Segmenter open(int models) throws IOException {
    try (ModelFile model = model(1)) {
      List<ModelFile> all = new ArrayList<>();
      for (int i = 0; i < models; i++) {
        all.add(model);
      }
      return Segmenter.open(all, EmulatedCuda.open(DType.FLOAT32), 2, 0);
    }
  }

  private static SegmentationOptions options(Settings settings) {
    return SegmentationOptions.PUBLISHED.withWindow(settings);
  }

  @Test
  void threadsShareTheDevice() throws Exception {
    List<Volume> images = new ArrayList<>();
    List<byte[]> alone = new ArrayList<>();
    try (Segmenter segmenter = open(1);
        ExecutorService threads = Executors.newFixedThreadPool(3)) {
      for (int i = 0; i < 3; i++) {
        images.add(SmallModel.image("image " + i, 10 + i, 33, 30));
        alone.add(segmenter.segment(List.of(images.get(i)), options(PLAIN)).labels());
      }
      List<Future<LabelVolume>> together =
          images.stream()
              .map(image -> threads.submit(() -> segmenter.segment(List.of(image), options(PLAIN))))
              .toList();
      for (int i = 0; i < 3; i++) {
        byte[] labels = together.get(i).get().labels();
        assertThat(Arrays.mismatch(labels, alone.get(i))).isEqualTo(-1);
      }
    }
  }

  /** A batch is told of as one step, and patches of several networks one by one. */
  @Test
  void severalNetworksAreAveragedOnTheHost() throws IOException {
    Volume image = SmallModel.image("image", 12, 36, 30);
    Settings settings = new Settings(0.5, new Mirroring(true, true, false));
    List<byte[]> labels = new ArrayList<>();
    List<Integer> steps = new ArrayList<>();
    for (int models : new int[] {1, 2}) {
      int[] told = new int[1];
      try (Segmenter segmenter = open(models)) {
        SegmentationOptions options =
            options(settings)
                .withProgress((stage, _, _) -> told[0] += stage.equals("predicting") ? 1 : 0);
        labels.add(segmenter.segment(List.of(image), options).labels());
      }
      steps.add(told[0]);
    }
    assertThat(steps).containsExactly(1, 8); // two windows, in four ways
    int others = 0;
    for (int voxel = 0; voxel < labels.getFirst().length; voxel++) {
      others += labels.get(0)[voxel] == labels.get(1)[voxel] ? 0 : 1;
    }
    // The mean of a network and itself, whose patches are alone: some roundings.
    assertThat(others).isLessThan(labels.getFirst().length / 1000);
  }

  @Test
  void anEstimateIsOfWhatIsUsed() throws IOException {
    Volume image = SmallModel.image("image", 24, 33, 30);
    SegmentationOptions options = options(PLAIN);
    SegmentationOptions withProbabilities = options.withProbabilities((_, _) -> {});
    try (Segmenter segmenter = open(1);
        Segmenter onHost = open(2)) {
      SegmentationEstimate estimate = segmenter.estimate(List.of(image), options);
      assertThat(estimate.times().network()).isPositive();
      assertThat(estimate.times().finish()).isPositive();
      // here are slices of the image and the labels, there also the sums and the patches
      long bytes = segmenter.peakBytes(image.geometry(), options);
      long bytesOnHost = onHost.peakBytes(image.geometry(), options);
      long sums = 4L * 4 * 17 * 33 * 30;
      assertThat(bytesOnHost - bytes).isGreaterThan(sums);
      assertThat(segmenter.peakBytes(image.geometry(), withProbabilities))
          .isBetween(bytes + 3L * 4 * 17 * 33 * 30, bytesOnHost + 3L * 4 * 24 * 33 * 30);
    }
  }
}
