package org.unetrpp.pipeline;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import java.util.function.IntToDoubleFunction;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.StageClock.Stage;
import org.unetrpp.window.WindowEngine;
import org.unetrpp.window.WindowSums;

/**
 * How long a segmentation will take, found by doing a little of each stage: what a volume's size
 * multiplies is done twice, the first time for the compilers.
 */
final class Calibration {
  /** Windows through the network. */
  private static final int WINDOWS = 24;

  /** So many of the last of them count; those before are for the compilers. */
  private static final int SETTLED = 8;

  /** Slices that are resampled to see how long one takes. */
  private static final int SLICES = 8;

  /** So often as many are resampled before, for the compilers. */
  private static final int REPETITIONS = 4;

  /** Classes of which labels are made to see how long one takes. */
  private static final int CLASSES = 2;

  private final PatchPredictor predictor;
  private final Workers workers;

  Calibration(PatchPredictor predictor, Workers workers) {
    this.predictor = predictor;
    this.workers = workers;
  }

  /** Seconds of the slices of an image that was opened and not asked for slices yet. */
  double preprocessing(WindowedImage image) {
    int depth = image.extents().depth();
    int count = Math.min(SLICES, predictor.patch().depth());
    int ready = 0;
    for (int repetition = 0; repetition < REPETITIONS && ready + 2 * count <= depth; repetition++) {
      image.require(ready, ready + count, workers);
      ready += count;
    }
    int first = ready;
    int end = Math.min(depth, first + count);
    double seconds = seconds(() -> image.require(first, end, workers));
    return seconds / (end - first) * depth;
  }

  /** Seconds of all windows, and of making probabilities of their sums. */
  StageClock windows(Extents image, SlidingWindow.Settings settings) {
    return SlidingWindow.residence(image, predictor, settings)
        .map(residence -> residentWindows(image, settings, residence))
        .orElseGet(() -> hostWindows(image, settings));
  }

  /** The same where the network keeps the image: of all windows that begin at its first slice. */
  private StageClock residentWindows(
      Extents image, SlidingWindow.Settings settings, WindowEngine residence) {
    Extents patch = predictor.patch();
    int depth = Math.min(patch.depth(), image.depth());
    Extents extents = new Extents(depth, image.height(), image.width());
    StageClock sample = new StageClock();
    for (int repetition = 0; repetition < 2; repetition++) {
      sample = new StageClock();
      SlidingWindow.streamResident(
          new Noise(predictor.channels(), extents, noise(extents.height() * extents.width())),
          predictor,
          residence,
          settings,
          workers,
          sample,
          windows -> windows,
          (_, end) -> end);
    }
    double windows = SlidingWindow.windows(image, patch, settings.step()).size();
    double slices = (double) image.depth() / depth;
    StageClock clock = new StageClock();
    clock.add(
        Stage.NETWORK,
        sample.seconds(Stage.NETWORK)
            * (windows / SlidingWindow.windows(extents, patch, settings.step()).size()));
    clock.add(Stage.AGGREGATE, slices * sample.seconds(Stage.AGGREGATE));
    clock.add(Stage.FINISH, slices * sample.seconds(Stage.FINISH));
    return clock;
  }

  private StageClock hostWindows(Extents image, SlidingWindow.Settings settings) {
    Extents patch = predictor.patch();
    // With half a patch between windows, so many of them.
    int width = patch.width() + Math.ceilDiv(patch.width() * (WINDOWS - 1), 2);
    Extents extents = new Extents(patch.depth(), patch.height(), width);
    Timed timed = new Timed(predictor);
    StageClock sample = new StageClock();
    try (Arena arena = Arena.ofShared()) {
      SlidingWindow.stream(
          new Noise(predictor.channels(), extents, noise(extents.height() * extents.width())),
          timed,
          new SlidingWindow.Settings(0.5, Mirroring.NONE),
          extents.depth(),
          arena,
          workers,
          sample,
          (_, end) -> end);
    }
    long count =
        (long) SlidingWindow.windows(image, patch, settings.step()).size()
            * settings.mirroring().combinations().size();
    double voxels = (double) image.voxels() / extents.voxels();
    StageClock clock = new StageClock();
    clock.add(Stage.NETWORK, timed.first() + (count - 1) * timed.each());
    clock.add(Stage.AGGREGATE, count * timed.between());
    clock.add(Stage.FINISH, voxels * sample.seconds(Stage.FINISH));
    return clock;
  }

  /** Seconds of making labels of all probabilities. */
  double labels(CaseGeometry geometry, SlidingWindow.Settings settings) {
    int depth = Math.min(SLICES, geometry.resampled().depth());
    double share = (double) depth / geometry.resampled().depth();
    int axis = geometry.transposeForward().first();
    int[] crop = geometry.crop().extents().toArray();
    double made = Math.max(1, Math.rint(share * crop[axis])) / crop[axis];
    crop[axis] = (int) Math.rint(made * crop[axis]);
    Extents thin = Extents.of(crop);
    CaseGeometry sample =
        new CaseGeometry(
            thin,
            geometry.originalSpacing(),
            Box.whole(thin),
            geometry.transposeForward(),
            new Extents(depth, geometry.resampled().height(), geometry.resampled().width()),
            geometry.resampledSpacing());
    WindowEngine residence =
        SlidingWindow.residence(sample.resampled(), predictor, settings).orElse(null);
    double seconds =
        residence == null
            ? hostLabels(sample) * predictor.classes() / CLASSES
            : residentLabels(sample, settings, residence);
    return seconds / made;
  }

  /** Seconds of making labels of few classes. */
  private double hostLabels(CaseGeometry geometry) {
    int depth = geometry.resampled().depth();
    try (Arena arena = Arena.ofShared()) {
      ProbabilityRing ring = ProbabilityRing.allocate(CLASSES, geometry.resampled(), depth, arena);
      return labelSeconds(geometry, CLASSES, export -> export.accept(ring, depth));
    }
  }

  private double residentLabels(
      CaseGeometry geometry, SlidingWindow.Settings settings, WindowEngine residence) {
    Extents extents = geometry.resampled();
    try (WindowSums sums =
        residence.open(ResidentWindows.volume(extents, predictor.patch(), settings))) {
      return labelSeconds(
          geometry, predictor.classes(), export -> export.acceptResident(sums, extents.depth()));
    }
  }

  /** Seconds of the last of some exports. */
  private double labelSeconds(
      CaseGeometry geometry, int classes, ToIntFunction<SlabExport> accept) {
    double seconds = 0;
    for (int repetition = 0; repetition <= REPETITIONS; repetition++) {
      SlabExport export = new SlabExport(geometry, classes, false, workers);
      seconds =
          seconds(() -> {
            int _ = accept.applyAsInt(export);
          });
    }
    return seconds;
  }

  private static double seconds(Runnable work) {
    StageClock clock = new StageClock();
    clock.time(Stage.PREPROCESS, work);
    return clock.seconds(Stage.PREPROCESS);
  }

  /** Values as of a normalized image. */
  private static float[] noise(int count) {
    float[] voxels = new float[count];
    for (int voxel = 0; voxel < voxels.length; voxel++) {
      voxels[voxel] = ((voxel * 0x9E3779B9) >> Byte.SIZE) / (float) (1 << 23);
    }
    return voxels;
  }

  /** An image whose slices are all the same. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Noise(int channels, Extents extents, float[] voxels) implements WindowedImage {
    @Override
    public void require(int from, int to, Workers workers) {
      // it is there
    }

    @Override
    public void readRow(
        int channel, int slice, int row, int column, float[] target, int at, int count) {
      System.arraycopy(voxels, row * extents.width() + column, target, at, count);
    }

    @Override
    public MemorySegment slice(int channel, int slice) {
      return MemorySegment.ofArray(voxels);
    }
  }

  /** Looks at the clock before and after each patch. */
  private static final class Timed implements PatchPredictor {
    private final PatchPredictor predictor;
    private final double[] starts = new double[WINDOWS];
    private final double[] ends = new double[WINDOWS];
    private int patches;

    Timed(PatchPredictor predictor) {
      this.predictor = predictor;
    }

    @Override
    public int channels() {
      return predictor.channels();
    }

    @Override
    public int classes() {
      return predictor.classes();
    }

    @Override
    public Extents patch() {
      return predictor.patch();
    }

    @Override
    public void predict(MemorySegment input, Consumer<MemorySegment> consumer) {
      starts[patches] = System.nanoTime() * 1e-9;
      predictor.predict(
          input,
          probabilities -> {
            ends[patches] = System.nanoTime() * 1e-9;
            patches++;
            consumer.accept(probabilities);
          });
    }

    /** Seconds of the first patch. */
    double first() {
      return ends[0] - starts[0];
    }

    /** Seconds of each other patch. */
    double each() {
      return median(patch -> ends[patch] - starts[patch]);
    }

    /** Seconds from a patch to the next. */
    double between() {
      return median(patch -> starts[patch] - ends[patch - 1]);
    }

    private static double median(IntToDoubleFunction secondsOf) {
      double[] seconds =
          IntStream.range(WINDOWS - SETTLED, WINDOWS).mapToDouble(secondsOf).sorted().toArray();
      return seconds[seconds.length / 2];
    }
  }
}
