package org.unetrpp.backend.reference;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.Boxes;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.Probe;
import org.unetrpp.backend.TrainingBoxes;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Allocator;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.HostAllocator;
import org.unetrpp.memory.HostMemory;
import org.unetrpp.memory.ScopeStack;

/**
 * Every primitive as its definition, in double precision and one thread. Tests compare the other
 * backends with it; nobody else uses it.
 */
public final class ReferenceBackend implements Backend {
  private final HostAllocator allocator = new HostAllocator();
  private final ScopeStack scopes = new ScopeStack(allocator);
  private final Boxes boxes = new ComposedBoxes(this);
  private final TrainingPrimitives training = new ReferenceTraining();
  private final TrainingBoxes trainingBoxes = new ComposedTrainingBoxes(this);
  private Probe probe = Probe.NONE;

  @Override
  public String name() {
    return "reference";
  }

  @Override
  public DType computeType() {
    return DType.FLOAT64;
  }

  @Override
  public Allocator allocator() {
    return allocator;
  }

  @Override
  public ScopeStack scopes() {
    return scopes;
  }

  @Override
  public Boxes boxes() {
    return boxes;
  }

  @Override
  public TrainingPrimitives training() {
    return training;
  }

  @Override
  public TrainingBoxes trainingBoxes() {
    return trainingBoxes;
  }

  @Override
  public Probe probe() {
    return probe;
  }

  @Override
  public void observe(Probe newProbe) {
    probe = newProbe;
  }

  @Override
  public void upload(float[] values, Buffer destination) {
    upload(MemorySegment.ofArray(values), destination);
  }

  @Override
  public void upload(MemorySegment values, Buffer destination) {
    double[] converted = new double[Math.toIntExact(destination.elements())];
    for (int i = 0; i < converted.length; i++) {
      converted[i] = values.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
    }
    write(converted, destination);
  }

  @Override
  public float[] download(Buffer source) {
    float[] values = new float[Math.toIntExact(source.elements())];
    download(source, MemorySegment.ofArray(values));
    return values;
  }

  @Override
  public void download(Buffer source, MemorySegment destination) {
    double[] values = read(source);
    for (int i = 0; i < values.length; i++) {
      destination.setAtIndex(JAVA_FLOAT_UNALIGNED, i, (float) values[i]);
    }
  }

  @Override
  public double[] downloadDouble(Buffer source) {
    return read(source);
  }

  @Override
  public void channelsLast(Buffer x, Buffer y, Grid grid, int channels) {
    transposeItems(x, y, grid.batch(), channels, grid.tokens());
  }

  @Override
  public void channelsFirst(Buffer x, Buffer y, Grid grid, int channels) {
    transposeItems(x, y, grid.batch(), grid.tokens(), channels);
  }

  /** Each of {@code batch} matrices (rows, columns) to (columns, rows). */
  private static void transposeItems(Buffer x, Buffer y, int batch, int rows, int columns) {
    double[] from = read(x);
    double[] to = new double[from.length];
    for (int item = 0; item < batch; item++) {
      int start = item * rows * columns;
      for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
          to[start + column * rows + row] = from[start + row * columns + column];
        }
      }
    }
    write(to, y);
  }

  @Override
  public void convolution(
      Buffer x, Buffer weight, @Nullable Buffer bias, Buffer y, Grid grid, Convolution shape) {
    double[] input = read(x);
    double[] weights = read(weight);
    Extents in = grid.extents();
    Extents out = shape.output(in);
    double[] output = new double[Math.toIntExact(y.elements())];
    double[] sums = new double[shape.outChannels()];
    double[] shift = bias == null ? new double[shape.outChannels()] : read(bias);
    for (int item = 0; item < grid.batch(); item++) {
      for (int d = 0; d < out.depth(); d++) {
        for (int h = 0; h < out.height(); h++) {
          for (int w = 0; w < out.width(); w++) {
            System.arraycopy(shift, 0, sums, 0, sums.length);
            gather(input, weights, sums, item, new Extents(d, h, w), in, shape);
            int voxel = ((item * out.depth() + d) * out.height() + h) * out.width() + w;
            System.arraycopy(sums, 0, output, voxel * sums.length, sums.length);
          }
        }
      }
    }
    write(output, y);
  }

  /** Adds to {@code sums} what one output voxel reads under its kernel. */
  private static void gather(
      double[] input,
      double[] weights,
      double[] sums,
      int item,
      Extents at,
      Extents in,
      Convolution shape) {
    Extents kernel = shape.kernel();
    int taps = Math.toIntExact(kernel.voxels());
    for (int tap = 0; tap < taps; tap++) {
      int w = source(shape, at, 2, tap % kernel.width());
      int h = source(shape, at, 1, tap / kernel.width() % kernel.height());
      int d = source(shape, at, 0, tap / kernel.width() / kernel.height());
      if (d < 0 || d >= in.depth() || h < 0 || h >= in.height() || w < 0 || w >= in.width()) {
        continue;
      }
      int voxel = ((item * in.depth() + d) * in.height() + h) * in.width() + w;
      for (int i = 0; i < shape.inChannels(); i++) {
        double value = input[voxel * shape.inChannels() + i];
        for (int o = 0; o < sums.length; o++) {
          sums[o] += value * weights[(o * shape.inChannels() + i) * taps + tap];
        }
      }
    }
  }

  private static int source(Convolution shape, Extents at, int axis, int tap) {
    return at.along(axis) * shape.stride().along(axis) - shape.padding().along(axis) + tap;
  }

  @Override
  public void transposedConvolution(
      Buffer x, Buffer weight, Buffer y, Grid grid, Convolution shape) {
    double[] input = read(x);
    double[] weights = read(weight);
    Extents kernel = shape.kernel();
    Extents in = grid.extents();
    Extents out = in.times(kernel);
    int taps = Math.toIntExact(kernel.voxels());
    double[] output = new double[Math.toIntExact(y.elements())];
    for (int voxel = 0; voxel < grid.rows(); voxel++) {
      int w = voxel % in.width();
      int h = voxel / in.width() % in.height();
      int d = voxel / in.width() / in.height() % in.depth();
      int item = voxel / grid.tokens();
      for (int tap = 0; tap < taps; tap++) {
        int toW = w * kernel.width() + tap % kernel.width();
        int toH = h * kernel.height() + tap / kernel.width() % kernel.height();
        int toD = d * kernel.depth() + tap / kernel.width() / kernel.height();
        int to = ((item * out.depth() + toD) * out.height() + toH) * out.width() + toW;
        for (int o = 0; o < shape.outChannels(); o++) {
          double sum = 0;
          for (int i = 0; i < shape.inChannels(); i++) {
            sum +=
                input[voxel * shape.inChannels() + i]
                    * weights[(i * shape.outChannels() + o) * taps + tap];
          }
          output[to * shape.outChannels() + o] = sum;
        }
      }
    }
    write(output, y);
  }

  @Override
  public void matrixProduct(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate) {
    double[][] left = transposeA ? transposed(rowsOf(a)) : rowsOf(a);
    double[][] right = transposeB ? transposed(rowsOf(b)) : rowsOf(b);
    if (left.length != c.rows() || right.length != inner(left, a, transposeA)) {
      throw new IllegalArgumentException("%s times %s does not fit %s".formatted(a, b, c));
    }
    double[][] product = accumulate ? rowsOf(c) : new double[c.rows()][c.columns()];
    for (int row = 0; row < c.rows(); row++) {
      for (int k = 0; k < right.length; k++) {
        double factor = left[row][k];
        for (int column = 0; column < c.columns(); column++) {
          product[row][column] += factor * right[k][column];
        }
      }
    }
    writeRows(product, c);
  }

  static void writeRows(double[][] rows, MatrixView view) {
    MemorySegment segment = HostMemory.segment(view.buffer());
    for (int row = 0; row < view.rows(); row++) {
      long start = view.offset() + row * view.rowStride();
      MemorySegment.copy(rows[row], 0, segment, JAVA_DOUBLE, start * Double.BYTES, view.columns());
    }
  }

  private static int inner(double[][] left, MatrixView a, boolean transposeA) {
    return left.length == 0 ? 0 : transposeA ? a.rows() : a.columns();
  }

  static double[][] rowsOf(MatrixView view) {
    MemorySegment segment = HostMemory.segment(view.buffer());
    double[][] rows = new double[view.rows()][view.columns()];
    for (int row = 0; row < rows.length; row++) {
      long start = view.offset() + row * view.rowStride();
      MemorySegment.copy(segment, JAVA_DOUBLE, start * Double.BYTES, rows[row], 0, view.columns());
    }
    return rows;
  }

  private static double[][] transposed(double[][] rows) {
    int columns = rows.length == 0 ? 0 : rows[0].length;
    double[][] result = new double[columns][rows.length];
    for (int row = 0; row < rows.length; row++) {
      for (int column = 0; column < columns; column++) {
        result[column][row] = rows[row][column];
      }
    }
    return result;
  }

  @Override
  public void addBias(MatrixView x, Buffer bias) {
    double[] shift = read(bias);
    forEach(x, (row, column, value) -> value + shift[column]);
  }

  @Override
  public void normalizeColumns(MatrixView x) {
    double[] squares = new double[x.columns()];
    for (double[] row : rowsOf(x)) {
      for (int column = 0; column < row.length; column++) {
        squares[column] += row[column] * row[column];
      }
    }
    forEach(x, (row, column, value) -> value / Math.max(Math.sqrt(squares[column]), 1e-12));
  }

  @FunctionalInterface
  private interface ElementFunction {
    double apply(int row, int column, double value);
  }

  private static void forEach(MatrixView view, ElementFunction function) {
    MemorySegment segment = HostMemory.segment(view.buffer());
    for (int row = 0; row < view.rows(); row++) {
      for (int column = 0; column < view.columns(); column++) {
        long index = view.offset() + row * view.rowStride() + column;
        double value = segment.getAtIndex(JAVA_DOUBLE, index);
        segment.setAtIndex(JAVA_DOUBLE, index, function.apply(row, column, value));
      }
    }
  }

  @Override
  public void layerNorm(
      Buffer x, Buffer gamma, Buffer beta, Buffer y, int channels, double epsilon) {
    double[] values = read(x);
    double[] scale = read(gamma);
    double[] shift = read(beta);
    for (int start = 0; start < values.length; start += channels) {
      double mean = Arrays.stream(values, start, start + channels).average().orElse(0);
      double variance = 0;
      for (int c = 0; c < channels; c++) {
        variance += square(values[start + c] - mean) / channels;
      }
      double rstd = 1 / Math.sqrt(variance + epsilon);
      for (int c = 0; c < channels; c++) {
        values[start + c] = (values[start + c] - mean) * rstd * scale[c] + shift[c];
      }
    }
    write(values, y);
  }

  @Override
  public void groupNorm(
      Buffer x,
      @Nullable Buffer gamma,
      @Nullable Buffer beta,
      Buffer y,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    double[] values = read(x);
    double[] scale = gamma == null ? filled(channels, 1) : read(gamma);
    double[] shift = beta == null ? filled(channels, 0) : read(beta);
    int tokens = grid.tokens();
    int perGroup = channels / groups;
    double count = (double) tokens * perGroup;
    for (int item = 0; item < grid.batch(); item++) {
      double[] sums = new double[groups];
      double[] squares = new double[groups];
      int start = item * tokens * channels;
      for (int i = 0; i < tokens * channels; i++) {
        sums[i % channels / perGroup] += values[start + i];
      }
      for (int i = 0; i < tokens * channels; i++) {
        int group = i % channels / perGroup;
        squares[group] += square(values[start + i] - sums[group] / count);
      }
      for (int i = 0; i < tokens * channels; i++) {
        int channel = i % channels;
        int group = channel / perGroup;
        double rstd = 1 / Math.sqrt(squares[group] / count + epsilon);
        values[start + i] =
            (values[start + i] - sums[group] / count) * rstd * scale[channel] + shift[channel];
      }
    }
    write(values, y);
  }

  @Override
  public void batchNorm(Buffer x, ChannelNorm.Batch norm, Buffer y, int channels, double epsilon) {
    double[] values = read(x);
    double[] mean = read(norm.mean());
    double[] variance = read(norm.variance());
    double[] scale = read(norm.gamma());
    double[] shift = read(norm.beta());
    for (int i = 0; i < values.length; i++) {
      int c = i % channels;
      values[i] = (values[i] - mean[c]) / Math.sqrt(variance[c] + epsilon) * scale[c] + shift[c];
    }
    write(values, y);
  }

  @Override
  public void leakyRelu(Buffer x, Buffer y, double slope) {
    double[] values = read(x);
    for (int i = 0; i < values.length; i++) {
      values[i] = values[i] > 0 ? values[i] : slope * values[i];
    }
    write(values, y);
  }

  @Override
  public void softmax(Buffer x, Buffer y, int columns) {
    double[] values = read(x);
    for (int start = 0; start < values.length; start += columns) {
      double max = Arrays.stream(values, start, start + columns).max().orElse(0);
      double sum = 0;
      for (int i = start; i < start + columns; i++) {
        values[i] = Math.exp(values[i] - max);
        sum += values[i];
      }
      for (int i = start; i < start + columns; i++) {
        values[i] /= sum;
      }
    }
    write(values, y);
  }

  @Override
  public void add(Buffer a, Buffer b, Buffer y) {
    double[] sum = read(a);
    double[] terms = read(b);
    for (int i = 0; i < sum.length; i++) {
      sum[i] += terms[i % terms.length];
    }
    write(sum, y);
  }

  @Override
  public void addScaled(Buffer a, Buffer gamma, Buffer b, Buffer y, int channels) {
    double[] sum = read(a);
    double[] scale = read(gamma);
    double[] terms = read(b);
    for (int i = 0; i < sum.length; i++) {
      sum[i] += scale[i % channels] * terms[i];
    }
    write(sum, y);
  }

  @Override
  public void scaleRuns(Buffer x, Buffer scales, long run) {
    double[] values = read(x);
    double[] scale = read(scales);
    for (int i = 0; i < values.length; i++) {
      values[i] *= scale[Math.toIntExact(i / run)];
    }
    write(values, x);
  }

  @Override
  public void synchronize() {
    // every primitive has finished when it returns
  }

  @Override
  public void close() {
    allocator.close();
  }

  private static double square(double value) {
    return value * value;
  }

  private static double[] filled(int length, double value) {
    double[] values = new double[length];
    Arrays.fill(values, value);
    return values;
  }

  static double[] read(Buffer buffer) {
    return HostMemory.segment(buffer).toArray(JAVA_DOUBLE);
  }

  static void write(double[] values, Buffer buffer) {
    if (values.length != buffer.elements()) {
      throw new IllegalArgumentException("%d values for %s".formatted(values.length, buffer));
    }
    MemorySegment.copy(values, 0, HostMemory.segment(buffer), JAVA_DOUBLE, 0, values.length);
  }
}
