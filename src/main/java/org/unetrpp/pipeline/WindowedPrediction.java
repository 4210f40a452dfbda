package org.unetrpp.pipeline;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.StageClock.Stage;

/**
 * One image on its way through the network, window by window. Windows go along the depth, so slices
 * before the next window get no more: these become probabilities and are handed over while later
 * ones are predicted.
 *
 * @param <S> how slices that are done are seen
 */
final class WindowedPrediction<S> {
  /** Takes slices whose probabilities are done. */
  interface Sink<S> {
    /**
     * More slices are done.
     *
     * @param slices with them
     * @param end past the last slice that is done
     * @return the first slice that the sink still needs; those before are overwritten. At most one
     *     before {@code end}
     */
    int accept(S slices, int end);
  }

  private final WindowedImage image;
  private final Extents extents;
  private final Extents patch;
  private final List<Extents> windows;
  private final int mirrorings;
  private final WindowWork<S> work;
  private final Workers workers;
  private final StageClock clock;
  private int kept; // the first slice that is needed
  private int done; // the first slice that is not handed over

  /** Goes through an image in windows of a patch. */
  WindowedPrediction(
      WindowedImage image,
      Extents patch,
      SlidingWindow.Settings settings,
      WindowWork<S> work,
      Workers workers,
      StageClock clock) {
    this.image = image;
    this.extents = image.extents();
    this.patch = patch;
    this.windows = SlidingWindow.windows(extents, patch, settings.step());
    this.mirrorings = settings.mirroring().combinations().size();
    this.work = work;
    this.workers = workers;
    this.clock = clock;
  }

  /** Slices that windows of one place along the depth add to, and one that a sink may need. */
  static int leastSlices(Extents patch) {
    return patch.depth() + 1;
  }

  /** Predicts; to be called once. */
  void run(Sink<S> sink) {
    long total = (long) windows.size() * mirrorings;
    long predicted = 0;
    for (List<Extents> origins : byDepth(windows)) {
      int first = origins.getFirst().depth();
      enter(Math.max(0, first), Math.min(extents.depth(), first + patch.depth()), sink);
      for (WindowBatch batch : work.batches(origins)) {
        workers.checkCancelled();
        work.predict(batch);
        predicted += batch.predictions();
        workers.report("predicting", predicted, total);
      }
    }
    handOver(extents.depth(), sink);
  }

  /** Windows in their order, those together that begin at one slice. */
  static List<List<Extents>> byDepth(List<Extents> windows) {
    List<List<Extents>> groups = new ArrayList<>();
    for (Extents window : windows) {
      if (groups.isEmpty() || groups.getLast().getFirst().depth() != window.depth()) {
        groups.add(new ArrayList<>());
      }
      groups.getLast().add(window);
    }
    return groups;
  }

  /**
   * Gets the slices of the image that the next windows cover, while those before may still be under
   * way, and makes room for their sums.
   */
  private void enter(int from, int to, Sink<S> sink) {
    clock.time(Stage.PREPROCESS, () -> image.require(from, to, workers));
    if (to - kept > work.capacity()) {
      handOver(from, sink);
    }
    if (to - kept > work.capacity()) {
      throw new IllegalStateException(
          "slices %d to %d are needed, expected at most %d".formatted(kept, to, work.capacity()));
    }
    clock.time(Stage.AGGREGATE, () -> work.enter(from, to));
  }

  private void handOver(int end, Sink<S> sink) {
    clock.time(
        Stage.FINISH,
        () -> {
          int needed = sink.accept(work.finish(done, end), end);
          if (end < extents.depth()) {
            work.clear(kept, needed);
          }
          done = end;
          kept = needed;
        });
  }

  /** Throws an {@code ArithmeticException} that names the first value that is no finite number. */
  static void requireFinite(float[] line, int label, int slice, int row) {
    for (int column = 0; column < line.length; column++) {
      if (!Float.isFinite(line[column])) {
        throw new ArithmeticException(
            "the network gave %s for class %d at voxel (%d, %d, %d), expected a probability"
                .formatted(line[column], label, slice, row, column));
      }
    }
  }
}
