package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.unetrpp.grid.Extents;

/**
 * Resamples a volume with one kernel for each axis, in double, slice by slice of the result.
 *
 * <p>A slice of the result is blended from a few slices of the source, then resampled along its
 * rows and columns, all in scratch of one slice a thread. Only a B-spline along the depth needs
 * more: the coefficients of the whole volume, 8 bytes a source voxel.
 *
 * @param depth kernel between slices
 * @param height kernel along the slow axis of a slice
 * @param width kernel along the fast axis of a slice
 */
record VolumeResize(AxisKernel depth, AxisKernel height, AxisKernel width) {
  /** Lines that go along the width together. */
  private static final int LANES = 64;

  /** Takes the slices of the result, in any order and from several threads. */
  interface SliceSink {
    /**
     * One slice.
     *
     * @param slice its index
     * @param rows (H, W) of the result, valid during the call; there may be more rows and columns
     */
    void accept(int slice, double[][] rows);
  }

  /** Gives the slices of the source. */
  interface SliceSource {
    /** Copies (H, W) of a slice. */
    void read(int slice, float[] target);
  }

  /** Size of the source. */
  Extents from() {
    return new Extents(depth.from(), height.from(), width.from());
  }

  /** Size of the result. */
  Extents to() {
    return new Extents(depth.to(), height.to(), width.to());
  }

  /** The slices of a volume of (D, H, W) floats. */
  static SliceSource slicesOf(MemorySegment volume, Extents extents) {
    int area = extents.height() * extents.width();
    return (slice, target) ->
        MemorySegment.copy(volume, JAVA_FLOAT, (long) Float.BYTES * slice * area, target, 0, area);
  }

  /**
   * About the bytes beside source and result: {@code 8 (D + 24) H W} of the source for a B-spline
   * along the depth, and for each thread a slice in float and up to four in double, of the larger
   * of source and result.
   */
  long scratchBytes(int threads) {
    long area = (long) Math.max(height.rows(), height.to()) * Math.max(width.rows(), width.to());
    long coefficients = 8L * depth.rows() * height.from() * width.from();
    return (depth.isSpline() ? coefficients : 0)
        + threads * (Float.BYTES + 4L * Double.BYTES) * area;
  }

  /** Whether nothing changes. */
  boolean isIdentity() {
    return depth.isIdentity() && height.isIdentity() && width.isIdentity();
  }

  /**
   * The part that makes the results {@code first} to {@code end - 1} along an axis, of the samples
   * from {@link AxisKernel#firstTap} of the first to {@link AxisKernel#lastTap} of the last.
   */
  VolumeResize part(int axis, int first, int end) {
    return new VolumeResize(
        axis == 0 ? depth.part(first, end) : depth,
        axis == 1 ? height.part(first, end) : height,
        axis == 2 ? width.part(first, end) : width);
  }

  /** The kernel of an axis. */
  AxisKernel along(int axis) {
    return switch (axis) {
      case 0 -> depth;
      case 1 -> height;
      case 2 -> width;
      default -> throw new IllegalArgumentException("axis " + axis + ", expected 0, 1 or 2");
    };
  }

  /** What one thread needs to make slices one by one; not for a B-spline along the depth. */
  Scratch scratch() {
    if (depth.isSpline()) {
      throw new IllegalStateException("a spline along the depth needs the whole volume");
    }
    return new Scratch();
  }

  /** Resamples and hands over each slice. */
  void run(String stage, SliceSource source, Workers workers, SliceSink sink) {
    if (depth.isSpline()) {
      double[][][] coefficients = depthCoefficients(source, workers);
      run(
          stage,
          workers,
          sink,
          (slice, factor, scratch) -> scratch.add(coefficients[slice], factor));
    } else {
      run(stage, workers, sink, (slice, factor, scratch) -> scratch.add(source, slice, factor));
    }
  }

  private void run(String stage, Workers workers, SliceSink sink, Blend blend) {
    workers.forEach(
        stage,
        depth.to(),
        Scratch::new,
        (scratch, slice) -> {
          sink.accept(slice, scratch.make(blend, slice));
        });
  }

  /** Coefficients along the depth as (D, H, W), with the padding's slices. */
  private double[][][] depthCoefficients(SliceSource source, Workers workers) {
    double[][][] coefficients = new double[depth.rows()][height.from()][width.from()];
    workers.forEach(
        "reading slices",
        depth.from(),
        () -> new float[height.from() * width.from()],
        (slice, index) -> {
          source.read(index, slice);
          double[][] rows = coefficients[index + AxisKernel.PADDING];
          for (int row = 0; row < rows.length; row++) {
            for (int column = 0; column < width.from(); column++) {
              rows[row][column] = slice[row * width.from() + column];
            }
          }
        });
    workers.forEach(
        "spline along the depth",
        height.from(),
        () -> new double[depth.rows()][],
        (lines, row) -> {
          for (int slice = 0; slice < lines.length; slice++) {
            lines[slice] = coefficients[slice][row];
          }
          depth.coefficients(lines, width.from());
        });
    return coefficients;
  }

  /** Adds a slice of the source, or of its coefficients, to what is in the scratch. */
  private interface Blend {
    void add(int slice, double factor, Scratch scratch);
  }

  /** What one thread needs to make a slice. */
  final class Scratch {
    private final float[] slice = new float[height.from() * width.from()];
    private final float[] line = new float[width.from()];
    private final double[][] blended = new double[height.from()][width.from()];
    private final double[][] paddedRows = padded(height, width.from());
    private final double[][] resizedRows = resized(height, width.from());
    private final double[][] lines = tile(width, width.from());
    private final double[][] paddedLines = padded(width, LANES);
    private final double[][] resizedLines = tile(width, width.to());
    private final double[][] result = resultRows();

    private static double[][] padded(AxisKernel kernel, int lanes) {
      return kernel.isSpline() ? new double[kernel.rows()][lanes] : new double[0][0];
    }

    private static double[][] resized(AxisKernel kernel, int lanes) {
      return kernel.isIdentity() ? new double[0][0] : new double[kernel.to()][lanes];
    }

    private static double[][] tile(AxisKernel kernel, int length) {
      return kernel.isIdentity() ? new double[0][0] : new double[length][LANES];
    }

    private double[][] resultRows() {
      return width.isIdentity() ? new double[0][0] : new double[height.to()][width.to()];
    }

    /** (H, W) of a slice of the result, valid until the next. */
    double[][] make(SliceSource source, int slice) {
      return make((index, factor, scratch) -> scratch.add(source, index, factor), slice);
    }

    private double[][] make(Blend blend, int slice) {
      clear();
      for (int tap = 0; tap < depth.taps(); tap++) {
        blend.add(depth.index(slice, tap), depth.weight(slice, tap), this);
      }
      return resizedSlice();
    }

    private void clear() {
      for (double[] row : blended) {
        Arrays.fill(row, 0);
      }
    }

    private void add(double[][] rows, double factor) {
      for (int row = 0; row < blended.length; row++) {
        AxisKernel.addScaled(blended[row], factor, rows[row], width.from());
      }
    }

    private void add(SliceSource source, int index, double factor) {
      source.read(index, slice);
      for (int row = 0; row < blended.length; row++) {
        System.arraycopy(slice, row * line.length, line, 0, line.length);
        double[] target = blended[row];
        for (int column = 0; column < line.length; column++) {
          target[column] += factor * line[column];
        }
      }
    }

    private double[][] resizedSlice() {
      double[][] rows = blended;
      if (!height.isIdentity()) {
        height.apply(blended, resizedRows, paddedRows, width.from());
        rows = resizedRows;
      }
      if (width.isIdentity()) {
        return rows;
      }
      for (int first = 0; first < height.to(); first += LANES) {
        resizeLines(rows, first, Math.min(LANES, height.to() - first));
      }
      return result;
    }

    private void resizeLines(double[][] rows, int first, int count) {
      for (int lane = 0; lane < count; lane++) {
        double[] row = rows[first + lane];
        for (int column = 0; column < width.from(); column++) {
          lines[column][lane] = row[column];
        }
      }
      width.apply(lines, resizedLines, paddedLines, count);
      for (int lane = 0; lane < count; lane++) {
        double[] row = result[first + lane];
        for (int column = 0; column < width.to(); column++) {
          row[column] = resizedLines[column][lane];
        }
      }
    }
  }
}
