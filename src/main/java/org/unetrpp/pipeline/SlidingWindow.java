package org.unetrpp.pipeline;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.unetrpp.grid.Extents;
import org.unetrpp.window.WindowEngine;
import org.unetrpp.window.WindowSums;
import org.unetrpp.window.WindowedVolume;

/// Predicts a volume patch by patch and averages where patches overlap, as published.
///
/// The image is padded with zeros to at least the patch, half of what is missing below (rounded
/// down) and the rest above. Windows start at [#starts] of each axis. Each is predicted in every
/// way to mirror it; the predictions, mirrored back, are averaged in float in the order of
/// [Mirroring#combinations], multiplied with the [ImportanceMap] where there is more than one
/// window, and added to the sum of their class. The result is that sum over the sum of the weights.
///
/// Each voxel's additions have one order, so the result is the same bytes for any number of
/// threads. The padding is never stored. Memory: [#peakBytes].
public final class SlidingWindow {
  private SlidingWindow() {}

  /**
   * How windows are laid and mirrored.
   *
   * @param step the greatest distance of neighboring windows as a fraction of the patch, above 0
   *     and at most 1
   * @param mirroring axes along which predictions are averaged over both directions
   */
  public record Settings(double step, Mirroring mirroring) {
    /** Windows half a patch apart, mirrored along every axis. */
    public static final Settings PUBLISHED = new Settings(0.5, Mirroring.ALL);

    /** Checks the step. */
    public Settings {
      if (!(step > 0 && step <= 1)) {
        throw new IllegalArgumentException(
            "step is " + step + ", expected above 0 and at most 1 patch");
      }
    }
  }

  /**
   * Where windows start along one axis.
   *
   * @param extent of the padded image, at least that of the patch
   * @param patch extent of the patch
   * @param step see {@link Settings#step}
   */
  public static int[] starts(int extent, int patch, double step) {
    if (extent < patch || patch < 1) {
      throw new IllegalArgumentException(
          "patch of %d in an image of %d, expected at most that and at least 1"
              .formatted(patch, extent));
    }
    int count = (int) Math.ceil((extent - patch) / (patch * step)) + 1;
    int[] starts = new int[count];
    if (count > 1) {
      double distance = (double) (extent - patch) / (count - 1);
      for (int window = 0; window < count; window++) {
        starts[window] = (int) Math.rint(distance * window);
      }
    }
    return starts;
  }

  /**
   * The first voxels of all windows in an image, the first axis slowest. Where the image is smaller
   * than the patch, windows start before the image, at negative indices.
   */
  public static List<Extents> windows(Extents image, Extents patch, double step) {
    int[][] starts = new int[3][];
    for (int axis = 0; axis < 3; axis++) {
      int missing = Math.max(patch.along(axis) - image.along(axis), 0);
      starts[axis] = starts(image.along(axis) + missing, patch.along(axis), step);
      for (int window = 0; window < starts[axis].length; window++) {
        starts[axis][window] -= missing / 2;
      }
    }
    List<Extents> windows = new ArrayList<>();
    for (int depth : starts[0]) {
      for (int height : starts[1]) {
        for (int width : starts[2]) {
          windows.add(new Extents(depth, height, width));
        }
      }
    }
    return windows;
  }

  /**
   * About the most bytes that {@link #run} holds beside the image, its result included, for an
   * image of V voxels, C channels and K classes and a patch of P voxels: {@code 4 (K V + V + (C + K
   * + 1) P)}; without the second V where one window covers the image, and without K P where nothing
   * is mirrored. Of that, {@code 4 P} are on the heap.
   */
  public static long peakBytes(
      Extents image, int channels, int classes, Extents patch, Mirroring mirroring) {
    return bytes(image, channels, classes, patch, mirroring, image.depth());
  }

  /** The same where only so many slices are kept at a time. */
  static long bytes(
      Extents image, int channels, int classes, Extents patch, Mirroring mirroring, int capacity) {
    boolean single = windows(image, patch, 1).size() == 1;
    int volumes = classes + (single ? 0 : 1);
    long averages = mirroring.equals(Mirroring.NONE) ? 0 : classes;
    return ProbabilityRing.bytes(volumes, image, capacity)
        + Float.BYTES * (channels + averages + 1) * patch.voxels();
  }

  /**
   * Predicts an image.
   *
   * @param channels a volume of (D, H, W) for each channel of the predictor
   * @param extents size of each channel
   * @param predictor the network
   * @param settings how windows are laid and mirrored
   * @param arena where the result lives; must let every thread in, so no confined one
   * @return probabilities of every class, of the extents of the image
   * @throws IllegalArgumentException if the channels are not those of the predictor or not of the
   *     extents
   * @throws ArithmeticException if the network gave a probability that is not a finite number
   * @throws java.util.concurrent.CancellationException if the run was cancelled
   */
  public static ProbabilityVolume run(
      List<float[]> channels,
      Extents extents,
      PatchPredictor predictor,
      Settings settings,
      Arena arena,
      Workers workers) {
    for (float[] channel : channels) {
      if (channel.length != extents.voxels()) {
        throw new IllegalArgumentException(
            "channel of %d voxels, expected %d for %s"
                .formatted(channel.length, extents.voxels(), extents));
      }
    }
    List<MemorySegment> classes = new ArrayList<>();
    stream(
        new WindowedImage.Whole(channels, extents),
        predictor,
        settings,
        extents.depth(),
        arena,
        workers,
        new StageClock(),
        (ring, end) -> {
          classes.addAll(ring.classes());
          return end;
        });
    return new ProbabilityVolume(classes, extents);
  }

  /**
   * Predicts an image and hands probabilities over as they are done.
   *
   * @param capacity how many slices of sums are kept at a time
   * @param arena where they live
   * @param sink takes the probabilities
   * @throws IllegalArgumentException if the channels are not those of the predictor
   */
  static void stream(
      WindowedImage image,
      PatchPredictor predictor,
      Settings settings,
      int capacity,
      Arena arena,
      Workers workers,
      StageClock clock,
      WindowedPrediction.Sink<ProbabilityRing> sink) {
    requireChannels(image, predictor);
    try (Arena scratch = Arena.ofShared()) {
      HostWindows windows =
          new HostWindows(image, predictor, settings, capacity, arena, scratch, workers, clock);
      run(image, predictor, settings, windows, workers, clock, sink);
    }
  }

  private static void requireChannels(WindowedImage image, PatchPredictor predictor) {
    if (image.channels() != predictor.channels()) {
      throw new IllegalArgumentException(
          "image of %d channels, expected %d as the network has"
              .formatted(image.channels(), predictor.channels()));
    }
  }

  private static <S> void run(
      WindowedImage image,
      PatchPredictor predictor,
      Settings settings,
      WindowWork<S> work,
      Workers workers,
      StageClock clock,
      WindowedPrediction.Sink<S> sink) {
    new WindowedPrediction<>(image, predictor.patch(), settings, work, workers, clock).run(sink);
  }

  /** Where the network keeps an image of some size, if it has a place that holds it. */
  static Optional<WindowEngine> residence(
      Extents image, PatchPredictor predictor, Settings settings) {
    return predictor
        .windows()
        .filter(engine -> engine.holds(ResidentWindows.volume(image, predictor.patch(), settings)));
  }

  /**
   * Predicts an image where the network keeps it, and hands probabilities over as they are done.
   *
   * @param residence that holds the image
   * @param form how the sink sees slices, such as those of the windows themselves
   * @param sink takes the probabilities
   * @throws IllegalArgumentException if the channels are not those of the predictor
   */
  static <S> void streamResident(
      WindowedImage image,
      PatchPredictor predictor,
      WindowEngine residence,
      Settings settings,
      Workers workers,
      StageClock clock,
      Function<ResidentWindows, WindowWork<S>> form,
      WindowedPrediction.Sink<S> sink) {
    requireChannels(image, predictor);
    WindowedVolume volume = ResidentWindows.volume(image.extents(), predictor.patch(), settings);
    try (WindowSums sums = residence.open(volume)) {
      ResidentWindows windows = new ResidentWindows(image, volume, settings, sums, clock);
      run(image, predictor, settings, form.apply(windows), workers, clock, sink);
    }
  }
}
