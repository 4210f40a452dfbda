package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.StageClock.Stage;

/**
 * Windows that are cut out of the image, averaged over mirrorings and added up on the host: gather,
 * predict and average in every way to mirror, accumulate.
 */
final class HostWindows implements WindowWork<ProbabilityRing> {
  private static final long ALIGNMENT_BYTES = 64;

  private final WindowedImage image;
  private final Extents extents;
  private final PatchPredictor predictor;
  private final Extents patch;
  private final Workers workers;
  private final StageClock clock;
  private final List<Mirroring> mirrorings;
  private final MemorySegment input;

  /** Average over mirrorings of the window in work; empty if there is one way to mirror. */
  private final MemorySegment window;

  /** Importance of each row of (D, H) of a window; empty if there is one window. */
  private final float[][] importance;

  /** Sum of each class. */
  private final ProbabilityRing sums;

  /** Sum of the importance of all windows at each voxel; of no class if there is one window. */
  private final ProbabilityRing weights;

  /**
   * Allocates what the prediction needs.
   *
   * @param capacity how many slices are kept at a time, at least {@link
   *     WindowedPrediction#leastSlices}
   * @param arena where the kept slices live
   * @param scratch where everything else in native memory lives
   */
  HostWindows(
      WindowedImage image,
      PatchPredictor predictor,
      SlidingWindow.Settings settings,
      int capacity,
      Arena arena,
      Arena scratch,
      Workers workers,
      StageClock clock) {
    this.image = image;
    this.extents = image.extents();
    this.predictor = predictor;
    this.patch = predictor.patch();
    this.workers = workers;
    this.clock = clock;
    this.mirrorings = settings.mirroring().combinations();
    this.input = floats(scratch, predictor.channels() * patch.voxels());
    long voxels = predictor.classes() * patch.voxels();
    this.window = mirrorings.size() == 1 ? MemorySegment.NULL : floats(scratch, voxels);
    boolean single = SlidingWindow.windows(extents, patch, settings.step()).size() == 1;
    this.importance = single ? new float[0][] : importanceRows(patch);
    this.sums = ProbabilityRing.allocate(predictor.classes(), extents, capacity, arena);
    this.weights = ProbabilityRing.allocate(single ? 0 : 1, extents, capacity, scratch);
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

  @Override
  public int capacity() {
    return sums.capacity();
  }

  @Override
  public void enter(int from, int to) {
    // rows are read out of the image
  }

  @Override
  public List<WindowBatch> batches(List<Extents> origins) {
    List<WindowBatch> batches = new ArrayList<>();
    for (Extents origin : origins) {
      for (Mirroring mirroring : mirrorings) {
        batches.add(new WindowBatch(List.of(origin), List.of(mirroring)));
      }
    }
    return batches;
  }

  @Override
  public void clear(int first, int end) {
    int slices = end - first;
    workers.forEach(
        (sums.classes().size() + weights.classes().size()) * slices,
        index -> {
          int label = index / slices;
          int slice = first + index % slices;
          if (label < sums.classes().size()) {
            sums.clear(label, slice);
          } else {
            weights.clear(0, slice);
          }
        });
  }

  /** Sends a window through the network, mirrored, and adds what comes out where it belongs. */
  @Override
  public void predict(WindowBatch batch) {
    Extents origin = batch.origins().getFirst();
    Mirroring mirroring = batch.mirrorings().getFirst();
    clock.time(Stage.AGGREGATE, () -> gather(origin, mirroring));
    clock.time(
        Stage.NETWORK,
        () ->
            predictor.predict(
                input,
                prediction ->
                    clock.interrupt(
                        Stage.NETWORK,
                        Stage.AGGREGATE,
                        () -> take(prediction, origin, mirroring))));
  }

  private void take(MemorySegment prediction, Extents origin, Mirroring mirroring) {
    if (mirroring.equals(mirrorings.getLast())) {
      accumulate(prediction, origin, mirroring);
    } else {
      average(prediction, mirroring);
    }
  }

  /** Copies a window of the image, mirrored, into the input. */
  private void gather(Extents origin, Mirroring mirroring) {
    workers.forEach(
        image.channels() * patch.depth(),
        () -> new float[patch.width()],
        (line, slice) -> {
          int channel = slice / patch.depth();
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

  private void readRow(int channel, Extents origin, int slice, int row, float[] line) {
    Arrays.fill(line, 0);
    int depth = origin.depth() + slice;
    int height = origin.height() + row;
    if (depth >= 0 && depth < extents.depth() && height >= 0 && height < extents.height()) {
      int from = firstColumn(origin);
      int count = endColumn(origin) - from;
      image.readRow(channel, depth, height, origin.width() + from, line, from, count);
    }
  }

  private int firstColumn(Extents origin) {
    return Math.max(0, -origin.width());
  }

  private int endColumn(Extents origin) {
    return Math.min(patch.width(), extents.width() - origin.width());
  }

  private float share() {
    return 1f / mirrorings.size();
  }

  /** Adds the prediction, mirrored back, to the window's average. */
  private void average(MemorySegment prediction, Mirroring mirroring) {
    boolean first = mirroring.equals(mirrorings.getFirst());
    float share = share();
    workers.forEach(
        predictor.classes() * patch.depth(),
        () -> new float[2][patch.width()],
        (lines, slice) -> {
          for (int row = 0; row < patch.height(); row++) {
            long offset = windowOffset(slice, row);
            readPrediction(prediction, slice, row, mirroring, lines[0]);
            if (first) {
              scale(lines[0], share);
            } else {
              MemorySegment.copy(window, JAVA_FLOAT, offset, lines[1], 0, patch.width());
              addToScaled(lines[0], share, lines[1]);
            }
            MemorySegment.copy(lines[0], 0, window, JAVA_FLOAT, offset, patch.width());
          }
        });
  }

  /** Of a row of (K, D, H) of a window. */
  private long windowOffset(int slice, int row) {
    return Float.BYTES * ((long) slice * patch.height() + row) * patch.width();
  }

  /** Copies a row of the prediction, mirrored back. */
  private void readPrediction(
      MemorySegment prediction, int slice, int row, Mirroring mirroring, float[] line) {
    int within = mirrored(mirroring.depth(), slice % patch.depth(), patch.depth());
    int source = slice - slice % patch.depth() + within;
    int sourceRow = mirrored(mirroring.height(), row, patch.height());
    long offset = windowOffset(source, sourceRow);
    MemorySegment.copy(prediction, JAVA_FLOAT, offset, line, 0, patch.width());
    if (mirroring.width()) {
      reverse(line);
    }
  }

  /**
   * Adds the last prediction to the window's average, that, weighted, to the sums of the classes,
   * and the weights to theirs.
   */
  private void accumulate(MemorySegment prediction, Extents origin, Mirroring mirroring) {
    boolean only = mirrorings.size() == 1;
    float share = share();
    workers.forEach(
        predictor.classes() * patch.depth(),
        () -> new float[3][patch.width()],
        (lines, slice) -> {
          int within = slice % patch.depth();
          addTo(
              sums,
              slice / patch.depth(),
              origin,
              within,
              lines[2],
              (target, row, from, to) -> {
                float[] source = lines[0];
                readPrediction(prediction, slice, row, mirroring, source);
                if (!only) {
                  long offset = windowOffset(slice, row);
                  MemorySegment.copy(window, JAVA_FLOAT, offset, lines[1], 0, patch.width());
                  addToScaled(source, share, lines[1]);
                }
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
                  0,
                  origin,
                  slice,
                  line,
                  (target, row, from, to) ->
                      addRow(target, importance[slice * patch.height() + row], from, to)));
    }
  }

  /** Adds to the rows of a class that a slice of the window covers. */
  private void addTo(
      ProbabilityRing ring,
      int label,
      Extents origin,
      int slice,
      float[] line,
      RowAddition addition) {
    int depth = origin.depth() + slice;
    if (depth < 0 || depth >= extents.depth()) {
      return;
    }
    MemorySegment volume = ring.classes().get(label);
    int from = firstColumn(origin);
    int to = endColumn(origin);
    for (int row = 0; row < patch.height(); row++) {
      int height = origin.height() + row;
      if (height >= 0 && height < extents.height()) {
        long offset = ring.byteOffset(depth, height) + Float.BYTES * ((long) origin.width() + from);
        MemorySegment.copy(volume, JAVA_FLOAT, offset, line, from, to - from);
        addition.add(line, row, from, to);
        MemorySegment.copy(line, from, volume, JAVA_FLOAT, offset, to - from);
      }
    }
  }

  @Override
  public ProbabilityRing finish(int first, int end) {
    divide(first, end);
    return sums;
  }

  /** Makes of sums the averages, and checks that they are numbers. */
  private void divide(int first, int end) {
    int slices = end - first;
    workers.forEach(
        predictor.classes() * slices,
        () -> new float[2][extents.width()],
        (lines, index) -> {
          int label = index / slices;
          int slice = first + index % slices;
          MemorySegment sum = sums.classes().get(label);
          for (int row = 0; row < extents.height(); row++) {
            long offset = sums.byteOffset(slice, row);
            MemorySegment.copy(sum, JAVA_FLOAT, offset, lines[0], 0, extents.width());
            if (importance.length > 0) {
              MemorySegment weight = weights.classes().getFirst();
              MemorySegment.copy(weight, JAVA_FLOAT, offset, lines[1], 0, extents.width());
              divideRow(lines[0], lines[1]);
              MemorySegment.copy(lines[0], 0, sum, JAVA_FLOAT, offset, extents.width());
            }
            WindowedPrediction.requireFinite(lines[0], label, slice, row);
          }
        });
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

  private static void scale(float[] target, float factor) {
    for (int index = 0; index < target.length; index++) {
      target[index] *= factor;
    }
  }

  /** {@code target = sum + factor * target}. */
  private static void addToScaled(float[] target, float factor, float[] sum) {
    for (int index = 0; index < target.length; index++) {
      target[index] = sum[index] + factor * target[index];
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
