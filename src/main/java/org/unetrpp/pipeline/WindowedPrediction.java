package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * One image on its way through the network, window by window: gather, predict and average in every
 * way to mirror, accumulate; divide at the end.
 */
final class WindowedPrediction {
  private static final long ALIGNMENT_BYTES = 64;

  private final List<float[]> channels;
  private final Extents image;
  private final PatchPredictor predictor;
  private final Extents patch;
  private final Workers workers;
  private final List<Mirroring> mirrorings;
  private final List<Extents> windows;
  private final MemorySegment input;
  private final MemorySegment prediction;
  private final List<MemorySegment> sums = new ArrayList<>();

  /** Rows of (K, D, H) of the window in work. */
  private final float[][] window;

  /** Importance of each row of (D, H) of a window; empty if there is one window. */
  private final float[][] importance;

  /** Sum of the importance of all windows at each voxel; empty if there is one window. */
  private final MemorySegment weights;

  /**
   * Allocates what the prediction needs.
   *
   * @param arena where the result lives
   * @param scratch where everything else in native memory lives
   */
  WindowedPrediction(
      List<float[]> channels,
      Extents image,
      PatchPredictor predictor,
      SlidingWindow.Settings settings,
      Arena arena,
      Arena scratch,
      Workers workers) {
    this.channels = channels;
    this.image = image;
    this.predictor = predictor;
    this.patch = predictor.patch();
    this.workers = workers;
    this.mirrorings = settings.mirroring().combinations();
    this.windows = SlidingWindow.windows(image, patch, settings.step());
    this.input = floats(scratch, predictor.channels() * patch.voxels());
    this.prediction = floats(scratch, predictor.classes() * patch.voxels());
    int rows = patch.depth() * patch.height();
    this.window = new float[predictor.classes() * rows][patch.width()];
    for (int label = 0; label < predictor.classes(); label++) {
      sums.add(floats(arena, image.voxels()));
    }
    boolean single = windows.size() == 1;
    this.importance = single ? new float[0][] : importanceRows(patch);
    this.weights = single ? MemorySegment.NULL : floats(scratch, image.voxels());
  }

  private static MemorySegment floats(Arena arena, long count) {
    return arena.allocate(count * Float.BYTES, ALIGNMENT_BYTES);
  }

  private static float[][] importanceRows(Extents patch) {
    float[] map = ImportanceMap.of(patch);
    float[][] rows = new float[patch.depth() * patch.height()][patch.width()];
    for (int row = 0; row < rows.length; row++) {
      System.arraycopy(map, row * patch.width(), rows[row], 0, patch.width());
    }
    return rows;
  }

  /** Predicts; to be called once. */
  ProbabilityVolume run() {
    long total = (long) windows.size() * mirrorings.size();
    long done = 0;
    for (Extents origin : windows) {
      for (Mirroring mirroring : mirrorings) {
        workers.checkCancelled();
        gather(origin, mirroring);
        predictor.predict(input, prediction);
        average(mirroring);
        done++;
        workers.report("predicting", done, total);
      }
      accumulate(origin);
    }
    divide();
    return new ProbabilityVolume(sums, image);
  }

  /** Copies a window of the image, mirrored, into the input. */
  private void gather(Extents origin, Mirroring mirroring) {
    workers.forEach(
        channels.size() * patch.depth(),
        () -> new float[patch.width()],
        (line, slice) -> {
          float[] channel = channels.get(slice / patch.depth());
          int within = mirrored(mirroring.depth(), slice % patch.depth(), patch.depth());
          for (int row = 0; row < patch.height(); row++) {
            int rowWithin = mirrored(mirroring.height(), row, patch.height());
            readRow(channel, origin, within, rowWithin, line);
            if (mirroring.width()) {
              reverse(line);
            }
            long target = ((long) slice * patch.height() + row) * patch.width();
            MemorySegment.copy(line, 0, input, JAVA_FLOAT, target * Float.BYTES, patch.width());
          }
        });
  }

  private void readRow(float[] channel, Extents origin, int slice, int row, float[] line) {
    Arrays.fill(line, 0);
    int depth = origin.depth() + slice;
    int height = origin.height() + row;
    if (depth >= 0 && depth < image.depth() && height >= 0 && height < image.height()) {
      int from = firstColumn(origin);
      int first = (depth * image.height() + height) * image.width() + origin.width();
      System.arraycopy(channel, first + from, line, from, endColumn(origin) - from);
    }
  }

  private int firstColumn(Extents origin) {
    return Math.max(0, -origin.width());
  }

  private int endColumn(Extents origin) {
    return Math.min(patch.width(), image.width() - origin.width());
  }

  /** Adds the prediction, mirrored back, to the window's average. */
  private void average(Mirroring mirroring) {
    boolean first = mirroring.equals(Mirroring.NONE);
    float share = 1f / mirrorings.size();
    workers.forEach(
        predictor.classes() * patch.depth(),
        () -> new float[patch.width()],
        (line, slice) -> {
          int within = mirrored(mirroring.depth(), slice % patch.depth(), patch.depth());
          int source = slice - slice % patch.depth() + within;
          for (int row = 0; row < patch.height(); row++) {
            int sourceRow = mirrored(mirroring.height(), row, patch.height());
            long from = ((long) source * patch.height() + sourceRow) * patch.width();
            MemorySegment.copy(prediction, JAVA_FLOAT, from * Float.BYTES, line, 0, patch.width());
            if (mirroring.width()) {
              reverse(line);
            }
            float[] target = window[slice * patch.height() + row];
            if (first) {
              setScaled(target, share, line);
            } else {
              addScaled(target, share, line);
            }
          }
        });
  }

  /** Adds the window, weighted, to the sums of the classes, and the weights to theirs. */
  private void accumulate(Extents origin) {
    workers.forEach(
        predictor.classes() * patch.depth(),
        () -> new float[patch.width()],
        (line, slice) -> {
          int within = slice % patch.depth();
          addTo(
              sums.get(slice / patch.depth()),
              origin,
              within,
              line,
              (target, row, from, to) -> {
                float[] source = window[slice * patch.height() + row];
                if (importance.length == 0) {
                  addRow(target, source, from, to);
                } else {
                  addProduct(target, source, importance[within * patch.height() + row], from, to);
                }
              });
        });
    if (importance.length > 0) {
      workers.forEach(
          patch.depth(),
          () -> new float[patch.width()],
          (line, slice) ->
              addTo(
                  weights,
                  origin,
                  slice,
                  line,
                  (target, row, from, to) ->
                      addRow(target, importance[slice * patch.height() + row], from, to)));
    }
  }

  /** Adds to the rows of a volume that a slice of the window covers. */
  private void addTo(
      MemorySegment volume, Extents origin, int slice, float[] line, RowAddition addition) {
    int depth = origin.depth() + slice;
    if (depth < 0 || depth >= image.depth()) {
      return;
    }
    int from = firstColumn(origin);
    int to = endColumn(origin);
    for (int row = 0; row < patch.height(); row++) {
      int height = origin.height() + row;
      if (height >= 0 && height < image.height()) {
        long first = ((long) depth * image.height() + height) * image.width();
        long offset = (first + origin.width() + from) * Float.BYTES;
        MemorySegment.copy(volume, JAVA_FLOAT, offset, line, from, to - from);
        addition.add(line, row, from, to);
        MemorySegment.copy(line, from, volume, JAVA_FLOAT, offset, to - from);
      }
    }
  }

  /** Makes of the sums the averages, and checks that they are numbers. */
  private void divide() {
    workers.forEach(
        "averaging",
        predictor.classes() * image.depth(),
        () -> new float[2][image.width()],
        (lines, slice) -> {
          MemorySegment sum = sums.get(slice / image.depth());
          for (int row = 0; row < image.height(); row++) {
            long first = ((long) (slice % image.depth()) * image.height() + row) * image.width();
            long offset = first * Float.BYTES;
            MemorySegment.copy(sum, JAVA_FLOAT, offset, lines[0], 0, image.width());
            if (importance.length > 0) {
              MemorySegment.copy(weights, JAVA_FLOAT, offset, lines[1], 0, image.width());
              divideRow(lines[0], lines[1]);
              MemorySegment.copy(lines[0], 0, sum, JAVA_FLOAT, offset, image.width());
            }
            requireFinite(lines[0], slice / image.depth(), slice % image.depth(), row);
          }
        });
  }

  private static void requireFinite(float[] line, int label, int slice, int row) {
    for (int column = 0; column < line.length; column++) {
      if (!Float.isFinite(line[column])) {
        throw new ArithmeticException(
            "the network gave %s for class %d at voxel (%d, %d, %d), expected a probability"
                .formatted(line[column], label, slice, row, column));
      }
    }
  }

  private static int mirrored(boolean mirror, int index, int extent) {
    return mirror ? extent - 1 - index : index;
  }

  private static void reverse(float[] line) {
    for (int low = 0, high = line.length - 1; low < high; low++, high--) {
      float value = line[low];
      line[low] = line[high];
      line[high] = value;
    }
  }

  private static void setScaled(float[] target, float factor, float[] source) {
    for (int index = 0; index < target.length; index++) {
      target[index] = factor * source[index];
    }
  }

  private static void addScaled(float[] target, float factor, float[] source) {
    for (int index = 0; index < target.length; index++) {
      target[index] += factor * source[index];
    }
  }

  private static void addRow(float[] target, float[] source, int from, int to) {
    for (int index = from; index < to; index++) {
      target[index] += source[index];
    }
  }

  private static void addProduct(float[] target, float[] x, float[] y, int from, int to) {
    for (int index = from; index < to; index++) {
      target[index] += x[index] * y[index];
    }
  }

  private static void divideRow(float[] target, float[] divisor) {
    for (int index = 0; index < target.length; index++) {
      target[index] /= divisor[index];
    }
  }

  /** Adds a row of a window to a line of its columns. */
  private interface RowAddition {
    void add(float[] target, int row, int from, int to);
  }
}
