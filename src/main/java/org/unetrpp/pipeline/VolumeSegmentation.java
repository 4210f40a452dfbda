package org.unetrpp.pipeline;

import java.lang.foreign.Arena;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.StageClock.Stage;
import org.unetrpp.window.WindowEngine;

/// From an image to its labels, in memory that does not grow with the image's depth but for the
/// labels, a byte a voxel.
///
/// Windows go along the depth of what the network sees. Of the image, as many slices are resampled
/// and normalized as the windows in work cover; of the sums of the classes, as many are kept, and
/// one more for the interpolation between two. What no later window changes is resampled back and
/// becomes labels at once.
///
/// | held beside the image | bytes |
/// | --- | --- |
/// | slices of the resampled image | 4 a voxel and channel of as many slices as a patch has |
/// | sums of the classes and of the weights | 4 (K + 1) a voxel of one slice more |
/// | a patch: input, prediction, average over mirrorings, importance | 4 (C + 2 K + 1) a voxel |
/// | labels | 1 a voxel of the image |
/// | probabilities, if they are wanted | 4 K a voxel of the image |
///
/// Where the network keeps images ([PatchPredictor#windows]), it has the sums and the patches there
/// and makes the labels; here are the slices of the image, and the sums of the classes if
/// probabilities are wanted.
///
/// The image is resampled as a whole, 4 bytes a voxel and channel, where a channel is normalized by
/// statistics of the case, or where a B-spline along the depth resamples it, which takes 8 bytes a
/// voxel more for a while. The labels are the same bytes whatever is kept.
public final class VolumeSegmentation {
  private VolumeSegmentation() {}

  /**
   * What came out.
   *
   * @param labels a class for each voxel of the image, unsigned, 0 outside of the crop
   * @param probabilities of each class at each voxel of the image, outside of the crop certainly
   *     background; empty if they were not wanted
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on, never compared
  public record Result(byte[] labels, List<float[]> probabilities) {}

  /**
   * Segments an image.
   *
   * @param image all finite
   * @param predictor the network
   * @param settings how windows are laid and mirrored
   * @param takesProbabilities whether the result holds them
   * @param clock tells afterwards what took how long
   * @throws IllegalArgumentException if the image has other channels than the plan or the network
   * @throws ArithmeticException if the network gave a probability that is not a finite number
   * @throws java.util.concurrent.CancellationException if the run was cancelled
   */
  public static Result run(
      MultiChannelImage image,
      PreprocessingPlan plan,
      PatchPredictor predictor,
      SlidingWindow.Settings settings,
      boolean takesProbabilities,
      Workers workers,
      StageClock clock) {
    try (Arena arena = Arena.ofShared()) {
      PreparedImage prepared = open(image, plan, predictor, arena, workers, clock);
      SlabExport export = export(prepared, predictor, takesProbabilities, workers, clock);
      WindowEngine residence =
          SlidingWindow.residence(prepared.image().extents(), predictor, settings).orElse(null);
      if (residence == null) {
        int capacity = WindowedPrediction.leastSlices(predictor.patch());
        SlidingWindow.stream(
            prepared.image(), predictor, settings, capacity, arena, workers, clock, export::accept);
      } else if (takesProbabilities) {
        SlidingWindow.streamResident(
            prepared.image(),
            predictor,
            residence,
            settings,
            workers,
            clock,
            windows -> windows.downloaded(predictor.classes(), arena),
            export::accept);
      } else {
        SlidingWindow.streamResident(
            prepared.image(),
            predictor,
            residence,
            settings,
            workers,
            clock,
            windows -> windows,
            export::acceptResident);
      }
      return new Result(export.labels(), export.probabilities());
    }
  }

  /**
   * The same on the host, in an arena of the caller's.
   *
   * @param capacity how many slices of sums are kept, at least as many as a patch has and one
   */
  static Result run(
      MultiChannelImage image,
      PreprocessingPlan plan,
      PatchPredictor predictor,
      SlidingWindow.Settings settings,
      boolean takesProbabilities,
      int capacity,
      Arena arena,
      Workers workers,
      StageClock clock) {
    PreparedImage prepared = open(image, plan, predictor, arena, workers, clock);
    SlabExport export = export(prepared, predictor, takesProbabilities, workers, clock);
    SlidingWindow.stream(
        prepared.image(), predictor, settings, capacity, arena, workers, clock, export::accept);
    return new Result(export.labels(), export.probabilities());
  }

  private static PreparedImage open(
      MultiChannelImage image,
      PreprocessingPlan plan,
      PatchPredictor predictor,
      Arena arena,
      Workers workers,
      StageClock clock) {
    return clock.timed(
        Stage.PREPROCESS,
        () -> Preprocessing.open(image, plan, predictor.patch().depth(), arena, workers));
  }

  private static SlabExport export(
      PreparedImage prepared,
      PatchPredictor predictor,
      boolean takesProbabilities,
      Workers workers,
      StageClock clock) {
    return clock.timed(
        Stage.FINISH,
        () ->
            new SlabExport(prepared.geometry(), predictor.classes(), takesProbabilities, workers));
  }

  /**
   * About how long {@link #run} takes. Opens the image as {@link #run} does, sends two dozen
   * patches through the network, or, where that keeps the image, the windows of its first slices,
   * and resamples some slices.
   *
   * @return with the seconds of each stage
   */
  public static StageClock estimate(
      MultiChannelImage image,
      PreprocessingPlan plan,
      PatchPredictor predictor,
      SlidingWindow.Settings settings,
      Workers workers) {
    Calibration calibration = new Calibration(predictor, workers);
    StageClock opening = new StageClock();
    try (Arena arena = Arena.ofShared()) {
      PreparedImage prepared =
          opening.timed(
              Stage.PREPROCESS,
              () -> Preprocessing.open(image, plan, predictor.patch().depth(), arena, workers));
      StageClock clock = calibration.windows(prepared.image().extents(), settings);
      clock.add(Stage.PREPROCESS, opening.seconds(Stage.PREPROCESS));
      clock.add(Stage.PREPROCESS, calibration.preprocessing(prepared.image()));
      clock.add(Stage.FINISH, calibration.labels(prepared.geometry(), settings));
      return clock;
    }
  }

  /**
   * About the most bytes that {@link #run} holds beside the image, if nothing of it is cropped.
   *
   * @param original size of the image
   * @param spacing of the image
   * @param predictor the network; on a device that keeps such an image nothing of windows is held
   *     here, and of sums those slices whose probabilities are taken
   */
  public static long peakBytes(
      Extents original,
      Spacing spacing,
      PreprocessingPlan plan,
      PatchPredictor predictor,
      SlidingWindow.Settings settings,
      boolean takesProbabilities,
      int threads) {
    CaseGeometry geometry = geometry(original, spacing, plan);
    Extents seen = geometry.resampled();
    int classes = predictor.classes();
    Extents patch = predictor.patch();
    Preprocessing.PreparedBytes prepared =
        Preprocessing.openBytes(original, spacing, plan, patch.depth(), threads);
    long kept = prepared.kept();
    if (SlidingWindow.residence(seen, predictor, settings).isPresent()) {
      kept += Float.BYTES * patch.voxels(); // the importance
      kept +=
          takesProbabilities
              ? ProbabilityRing.bytes(classes, seen, WindowedPrediction.leastSlices(patch))
                  + Export.peakBytes(geometry, classes, true, threads)
              : SlabExport.residentBytes(geometry);
    } else {
      kept +=
          SlidingWindow.bytes(
                  seen,
                  plan.channels().size(),
                  classes,
                  patch,
                  settings.mirroring(),
                  WindowedPrediction.leastSlices(patch))
              + Export.peakBytes(geometry, classes, takesProbabilities, threads);
    }
    return Math.max(prepared.peak(), kept);
  }

  private static CaseGeometry geometry(Extents original, Spacing spacing, PreprocessingPlan plan) {
    AxisOrder order = plan.transposeForward();
    Spacing target = plan.targetFor(order.apply(spacing));
    Extents resampled = Resampling.newExtents(order.apply(original), order.apply(spacing), target);
    return new CaseGeometry(original, spacing, Box.whole(original), order, resampled, target);
  }
}
