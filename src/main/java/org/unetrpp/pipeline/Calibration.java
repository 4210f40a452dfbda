package org.unetrpp.pipeline;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.StageClock.Stage;

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
    Extents patch = predictor.patch();
    // With half a patch between windows, so many of them.
    int width = patch.width() + Math.ceilDiv(patch.width() * (WINDOWS - 1), 2);
    Extents extents = new Extents(patch.depth(), patch.height(), width);
    Timed timed = new Timed(predictor);
    StageClock sample = new StageClock();
    try (Arena arena = Arena.ofShared()) {
      SlidingWindow.stream(
          new WindowedImage.Whole(noise(predictor.channels(), extents), extents),
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
  double labels(CaseGeometry geometry) {
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
    double seconds = 0;
    try (Arena arena = Arena.ofShared()) {
      ProbabilityRing ring = ProbabilityRing.allocate(CLASSES, sample.resampled(), depth, arena);
      for (int repetition = 0; repetition <= REPETITIONS; repetition++) {
        SlabExport export = new SlabExport(sample, CLASSES, false, workers);
        seconds =
            seconds(() -> {
              int _ = export.accept(ring, depth);
            });
      }
    }
    return seconds / made * predictor.classes() / CLASSES;
  }

  private static double seconds(Runnable work) {
    StageClock clock = new StageClock();
    clock.time(Stage.PREPROCESS, work);
    return clock.seconds(Stage.PREPROCESS);
  }

  /** Values as of a normalized image. */
  private static List<float[]> noise(int channels, Extents extents) {
    float[] voxels = new float[Math.toIntExact(extents.voxels())];
    for (int voxel = 0; voxel < voxels.length; voxel++) {
      voxels[voxel] = ((voxel * 0x9E3779B9) >> Byte.SIZE) / (float) (1 << 23);
    }
    return Stream.generate(() -> voxels).limit(channels).toList();
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
