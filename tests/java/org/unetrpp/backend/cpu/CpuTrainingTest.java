package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.unetrpp.backend.cpu.Case.assertClose;
import static org.unetrpp.backend.cpu.Case.doubles;

import java.util.Arrays;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;

/** Training on the CPU backend against plain loops in double. */
class CpuTrainingTest {
  /** A few roundings of float32, 6e-8 each; sums of n terms add about sqrt(n) of them. */
  private static final double ROUNDING = 5e-7;

  private static CpuBackend backend;
  private static TrainingPrimitives training;
  private MemoryScope scope;
  private Case random;

  @BeforeAll
  static void open() {
    backend = CpuBackend.composed(3);
    training = backend.training();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // release closes it
  void openScope() {
    scope = backend.scopes().open();
    random = new Case(backend, 11);
  }

  @AfterEach
  void release() {
    scope.close();
    assertThat(backend.allocator().bytesInUse()).isZero();
  }

  private static double tolerance(long terms) {
    return ROUNDING * Math.sqrt((double) terms);
  }

  /** One tap of a convolution: an input voxel, an output voxel, a place of the kernel. */
  private interface Tap {
    void at(int input, int output, int kernel);
  }

  private static void forEachTap(Grid grid, Convolution shape, Tap tap) {
    Extents in = grid.extents();
    Extents out = shape.output(in);
    Extents kernel = shape.kernel();
    Extents stride = shape.stride();
    Extents padding = shape.padding();
    for (int i = 0; i < grid.batch() * out.voxels(); i++) {
      int item = i / (int) out.voxels();
      int z = i / (out.height() * out.width()) % out.depth();
      int y = i / out.width() % out.height();
      int x = i % out.width();
      for (int k = 0; k < kernel.voxels(); k++) {
        int d = z * stride.depth() + k / (kernel.height() * kernel.width()) - padding.depth();
        int h = y * stride.height() + k / kernel.width() % kernel.height() - padding.height();
        int w = x * stride.width() + k % kernel.width() - padding.width();
        if (d >= 0 && d < in.depth() && h >= 0 && h < in.height() && w >= 0 && w < in.width()) {
          tap.at(((item * in.depth() + d) * in.height() + h) * in.width() + w, i, k);
        }
      }
    }
  }

  private static double[] dataGradient(float[] dy, float[] weight, Grid grid, Convolution shape) {
    int in = shape.inChannels();
    int out = shape.outChannels();
    int taps = (int) shape.kernel().voxels();
    double[] dx = new double[(int) grid.rows() * in];
    forEachTap(
        grid,
        shape,
        (input, output, k) -> {
          for (int o = 0; o < out; o++) {
            for (int i = 0; i < in; i++) {
              dx[input * in + i] += (double) dy[output * out + o] * weight[(o * in + i) * taps + k];
            }
          }
        });
    return dx;
  }

  private static double[] weightGradient(float[] x, float[] dy, Grid grid, Convolution shape) {
    int in = shape.inChannels();
    int out = shape.outChannels();
    int taps = (int) shape.kernel().voxels();
    double[] dweight = new double[in * out * taps];
    forEachTap(
        grid,
        shape,
        (input, output, k) -> {
          for (int o = 0; o < out; o++) {
            for (int i = 0; i < in; i++) {
              dweight[(o * in + i) * taps + k] += (double) dy[output * out + o] * x[input * in + i];
            }
          }
        });
    return dweight;
  }

  private static double[] columnSums(float[] x, int columns) {
    double[] sums = new double[columns];
    for (int i = 0; i < x.length; i++) {
      sums[i % columns] += x[i];
    }
    return sums;
  }

  private static double[] sum(float[] a, double[] b) {
    double[] sum = doubles(a);
    for (int i = 0; i < sum.length; i++) {
      sum[i] += b[i];
    }
    return sum;
  }

  @ParameterizedTest(name = "{0}->{1} of {3}x{4}x{5}, batch {2}")
  @CsvSource({
    "1, 16, 2, 4, 9, 7",
    "16, 1, 1, 3, 5, 6",
    "16, 16, 1, 5, 12, 11",
    "3, 20, 2, 6, 4, 5",
    "20, 8, 1, 1, 6, 6",
    "32, 32, 2, 4, 4, 4",
    "64, 64, 2, 3, 4, 5",
    "7, 2, 1, 2, 1, 3",
    "128, 24, 1, 2, 2, 2",
    "4, 16, 2, 33, 9, 8"
  })
  void convolutionOfKernel3(int in, int out, int batch, int d, int h, int w) {
    gradientsMatch(Convolution.same3(in, out), new Grid(batch, new Extents(d, h, w)));
  }

  @ParameterizedTest(name = "{0}->{1}, kernel {2}x{3}x{4}")
  @CsvSource({
    "1, 32, 2, 4, 4",
    "4, 32, 4, 4, 4",
    "32, 64, 2, 2, 2",
    "3, 7, 1, 4, 4",
    "5, 6, 3, 2, 1"
  })
  void convolutionOfPatches(int in, int out, int d, int h, int w) {
    Extents kernel = new Extents(d, h, w);
    gradientsMatch(
        Convolution.patches(in, out, kernel), new Grid(2, kernel.times(new Extents(3, 2, 5))));
  }

  @Test
  void patchesLeaveTheVoxelsBehindThemWithoutGradient() {
    Convolution shape = Convolution.patches(3, 5, Extents.cube(2));
    gradientsMatch(shape, new Grid(2, new Extents(5, 4, 7)));
  }

  @ParameterizedTest(name = "{0}->{1}")
  @CsvSource({"16, 14", "32, 32", "5, 3", "1, 1", "256, 256", "1, 16"})
  void convolutionOfKernel1(int in, int out) {
    gradientsMatch(Convolution.pointwise(in, out), new Grid(2, new Extents(3, 5, 4)));
  }

  @Test
  void convolutionWithOverlappingStrideAndOddPadding() {
    Convolution shape =
        new Convolution(3, 4, new Extents(3, 5, 2), new Extents(2, 3, 1), new Extents(1, 2, 0));
    gradientsMatch(shape, new Grid(2, new Extents(6, 10, 5)));
  }

  @Test
  void kernelsThatAreNotCubes() {
    Convolution shape =
        new Convolution(3, 4, new Extents(1, 3, 5), Extents.cube(1), new Extents(0, 1, 1));
    gradientsMatch(shape, new Grid(2, new Extents(3, 6, 7)));
  }

  private void gradientsMatch(Convolution shape, Grid grid) {
    int in = shape.inChannels();
    int out = shape.outChannels();
    long taps = shape.kernel().voxels();
    long outputs = grid.batch() * shape.output(grid.extents()).voxels();
    float[] x = random.values(grid.rows() * in, 1);
    float[] dy = random.values(outputs * out, 1);
    float[] weight = random.values((long) in * out * taps, 0.2);
    float[] before = random.values(weight.length, 1);
    float[] biasBefore = random.values(out, 1);
    Buffer dx = random.poisoned(x.length);
    Buffer dweight = random.upload(before);
    Buffer dbias = random.upload(biasBefore);
    Buffer gradient = random.upload(dy);
    training.convolutionBackwardData(gradient, random.upload(weight), dx, grid, shape);
    training.convolutionBackwardWeights(random.upload(x), gradient, dweight, dbias, grid, shape);
    assertClose(backend.download(dx), dataGradient(dy, weight, grid, shape), tolerance(out * taps));
    assertClose(
        backend.download(dweight),
        sum(before, weightGradient(x, dy, grid, shape)),
        tolerance(outputs));
    assertClose(backend.download(dbias), sum(biasBefore, columnSums(dy, out)), tolerance(outputs));
  }

  @Test
  void dataGradientFollowsTheWeights() {
    Grid grid = new Grid(1, Extents.cube(4));
    Convolution shape = Convolution.same3(3, 4);
    float[] dy = random.values(grid.rows() * 4, 1);
    float[] changed = random.values(4 * 3 * 27, 1);
    Buffer gradient = random.upload(dy);
    Buffer weight = random.random(4 * 3 * 27, 1);
    Buffer dx = random.poisoned(grid.rows() * 3);
    training.convolutionBackwardData(gradient, weight, dx, grid, shape);
    backend.upload(changed, weight);
    training.convolutionBackwardData(gradient, weight, dx, grid, shape);
    assertClose(backend.download(dx), dataGradient(dy, changed, grid, shape), tolerance(108));
  }

  @ParameterizedTest(name = "{0}->{1}, kernel {2}x{3}x{4}")
  @CsvSource({
    "32, 16, 2, 4, 4",
    "64, 32, 2, 2, 2",
    "3, 5, 1, 4, 4",
    "4, 1, 3, 1, 2",
    "8, 6, 1, 1, 1"
  })
  void transposedConvolution(int in, int out, int d, int h, int w) {
    Extents kernel = new Extents(d, h, w);
    Grid grid = new Grid(2, new Extents(2, 3, 5));
    Grid outputs = grid.times(kernel);
    Convolution shape = Convolution.patches(in, out, kernel);
    Convolution connections = Convolution.patches(out, in, kernel);
    float[] x = random.values(grid.rows() * in, 1);
    float[] dy = random.values(outputs.rows() * out, 1);
    float[] weight = random.values(kernel.voxels() * in * out, 0.2);
    float[] before = random.values(weight.length, 1);
    Buffer dx = random.poisoned(x.length);
    Buffer dweight = random.upload(before);
    Buffer gradient = random.upload(dy);
    training.transposedConvolutionBackwardData(gradient, random.upload(weight), dx, grid, shape);
    training.transposedConvolutionBackwardWeights(random.upload(x), gradient, dweight, grid, shape);
    assertClose(
        backend.download(dx),
        Expected.convolution(dy, weight, null, outputs, connections),
        tolerance(out * kernel.voxels()));
    assertClose(
        backend.download(dweight),
        sum(before, weightGradient(dy, x, outputs, connections)),
        tolerance(grid.rows()));
  }

  @ParameterizedTest(name = "{0} rows of {1}")
  @CsvSource({"1, 1", "700, 13", "40000, 3", "3, 5000"})
  void columnsAreSummed(int rows, int columns) {
    MatrixView view = matrix(rows, columns);
    Buffer whole = random.random((long) rows * columns, 1);
    float[] before = random.values(columns, 1);
    for (MatrixView x : new MatrixView[] {view, MatrixView.of(whole, columns)}) {
      Buffer sums = random.upload(before);
      float[] values = backend.download(x.buffer());
      double[] expected = doubles(before);
      for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
          expected[column] += values[at(x, row, column)];
        }
      }
      training.addColumnSums(x, sums);
      assertClose(backend.download(sums), expected, ROUNDING);
    }
  }

  /** A matrix inside a wider buffer. */
  private MatrixView matrix(int rows, int columns) {
    long stride = columns + 3L;
    return new MatrixView(random.random(2 + rows * stride, 1), 2, rows, columns, stride);
  }

  private static int at(MatrixView view, int row, int column) {
    return (int) (view.offset() + row * view.rowStride() + column);
  }

  @ParameterizedTest(name = "{1} runs of {0}")
  @CsvSource({"1, 5000", "32, 3", "10000, 2", "4097, 1"})
  void repeatsAreSummed(int run, int repeats) {
    float[] dy = random.values((long) run * repeats, 1);
    float[] before = random.values(run, 1);
    Buffer sum = random.upload(before);
    training.addRepeats(random.upload(dy), sum);
    assertClose(backend.download(sum), sum(before, columnSums(dy, run)), ROUNDING);
  }

  /** The gradient of {@code sum(dy f(x))} by central differences of f in double. */
  private static double[] centralDifferences(
      double[] x, float[] dy, Function<double[], double[]> function) {
    double step = 1e-5;
    double[] gradient = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      double[] moved = x.clone();
      moved[i] += step;
      double above = product(dy, function.apply(moved));
      moved[i] = x[i] - step;
      gradient[i] = (above - product(dy, function.apply(moved))) / (2 * step);
    }
    return gradient;
  }

  private static double product(float[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  /** Normalizes the values whose number {@code group} tells, then scales and shifts by channel. */
  private static double[] normalized(
      double[] x, double[] gamma, double[] beta, int groups, Function<Integer, Integer> group) {
    double[] mean = new double[groups];
    double[] variance = new double[groups];
    double count = (double) x.length / groups;
    for (int i = 0; i < x.length; i++) {
      mean[group.apply(i)] += x[i] / count;
    }
    for (int i = 0; i < x.length; i++) {
      double difference = x[i] - mean[group.apply(i)];
      variance[group.apply(i)] += difference * difference / count;
    }
    double[] y = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      int g = group.apply(i);
      int channel = i % gamma.length;
      y[i] = (x[i] - mean[g]) / Math.sqrt(variance[g] + 1e-5) * gamma[channel] + beta[channel];
    }
    return y;
  }

  @ParameterizedTest(name = "{0} rows of {1}")
  @CsvSource({"1, 7", "5, 3", "9, 32", "3, 20"})
  void layerNorm(int rows, int channels) {
    float[] x = random.values((long) rows * channels, 2);
    float[] dy = random.values(x.length, 1);
    float[] gamma = random.around(1, channels);
    float[] beta = random.values(channels, 1);
    float[] scaleBefore = random.values(channels, 1);
    float[] shiftBefore = random.values(channels, 1);
    Buffer dx = random.upload(dy);
    Buffer dgamma = random.upload(scaleBefore);
    Buffer dbeta = random.upload(shiftBefore);
    training.layerNormBackward(
        dx, random.upload(x), random.upload(gamma), dx, dgamma, dbeta, channels, 1e-5);
    checkNormalization(
        dx, dgamma, dbeta, x, dy, gamma, beta, scaleBefore, shiftBefore, rows, i -> i / channels);
  }

  private static void checkNormalization(
      Buffer dx,
      Buffer dgamma,
      Buffer dbeta,
      float[] x,
      float[] dy,
      float[] gamma,
      float[] beta,
      float[] scaleBefore,
      float[] shiftBefore,
      int groups,
      Function<Integer, Integer> group) {
    double[] xs = doubles(x);
    double[] gammas = doubles(gamma);
    double[] betas = doubles(beta);
    assertClose(
        backend.download(dx),
        centralDifferences(xs, dy, moved -> normalized(moved, gammas, betas, groups, group)),
        1e-5);
    assertClose(
        backend.download(dgamma),
        sum(
            scaleBefore,
            centralDifferences(gammas, dy, moved -> normalized(xs, moved, betas, groups, group))),
        1e-5);
    assertClose(backend.download(dbeta), sum(shiftBefore, columnSums(dy, beta.length)), 1e-5);
  }

  @Test
  void layerNormOfManyRowsAddsWhatItsPartsAdd() {
    int channels = 64;
    int rows = 5000;
    Buffer x = random.random((long) rows * channels, 1);
    Buffer dy = random.random((long) rows * channels, 1);
    Buffer gamma = random.random(channels, 1);
    Buffer dx = random.poisoned(x.elements());
    Buffer dgamma = random.upload(new float[channels]);
    Buffer dbeta = random.upload(new float[channels]);
    Buffer partsScale = random.upload(new float[channels]);
    Buffer partsShift = random.upload(new float[channels]);
    Buffer partsData = random.poisoned(x.elements());
    training.layerNormBackward(dy, x, gamma, dx, dgamma, dbeta, channels, 1e-5);
    for (int first = 0; first < rows; first += 500) {
      long at = (long) first * channels;
      long count = 500L * channels;
      training.layerNormBackward(
          dy.slice(at, count),
          x.slice(at, count),
          gamma,
          partsData.slice(at, count),
          partsScale,
          partsShift,
          channels,
          1e-5);
    }
    assertClose(backend.download(dx), backend.downloadDouble(partsData), ROUNDING);
    assertClose(backend.download(dgamma), backend.downloadDouble(partsScale), tolerance(rows));
    assertClose(backend.download(dbeta), backend.downloadDouble(partsShift), tolerance(rows));
  }

  @ParameterizedTest(name = "{0} channels in {1} groups, {2} voxels")
  @CsvSource({"8, 1, 5", "6, 3, 4", "5, 5, 9", "20, 4, 2", "16, 16, 3"})
  void groupNorm(int channels, int groups, int voxels) {
    Grid grid = new Grid(2, new Extents(1, 1, voxels));
    float[] x = random.values(grid.rows() * channels, 2);
    for (int i = 0; i < x.length; i++) {
      x[i] += 5 + i % channels; // means that are large against the deviations
    }
    float[] dy = random.values(x.length, 1);
    float[] gamma = random.around(1, channels);
    float[] scaleBefore = random.values(channels, 1);
    float[] shiftBefore = random.values(channels, 1);
    Buffer dx = random.poisoned(x.length);
    Buffer dgamma = random.upload(scaleBefore);
    Buffer dbeta = random.upload(shiftBefore);
    training.groupNormBackward(
        random.upload(dy),
        random.upload(x),
        random.upload(gamma),
        dx,
        dgamma,
        dbeta,
        grid,
        channels,
        groups,
        1e-5);
    int size = channels / groups;
    checkNormalization(
        dx,
        dgamma,
        dbeta,
        x,
        dy,
        gamma,
        new float[channels],
        scaleBefore,
        shiftBefore,
        2 * groups,
        i -> i / (voxels * channels) * groups + i % channels / size);
  }

  /** The closed form, for sizes where differences would take too long. */
  @ParameterizedTest(name = "{0} channels of {1} voxels")
  @CsvSource({"16, 9000", "3, 70000", "64, 512"})
  void instanceNorm(int channels, int voxels) {
    Grid grid = new Grid(2, new Extents(1, 1, voxels));
    float[] x = random.values(grid.rows() * channels, 2);
    for (int i = 0; i < x.length; i++) {
      x[i] += 7;
    }
    float[] dy = random.values(x.length, 1);
    Buffer dx = random.upload(dy);
    training.groupNormBackward(
        dx, random.upload(x), null, dx, null, null, grid, channels, channels, 1e-5);
    double[] expected = new double[x.length];
    for (int series = 0; series < 2 * channels; series++) {
      int first = series / channels * voxels * channels + series % channels;
      double mean = 0;
      double meanGradient = 0;
      for (int i = 0; i < voxels; i++) {
        mean += (double) x[first + i * channels] / voxels;
        meanGradient += (double) dy[first + i * channels] / voxels;
      }
      double variance = 0;
      double meanProduct = 0;
      for (int i = 0; i < voxels; i++) {
        double difference = x[first + i * channels] - mean;
        variance += difference * difference / voxels;
        meanProduct += dy[first + i * channels] * difference / voxels;
      }
      variance += 1e-5;
      for (int i = 0; i < voxels; i++) {
        int at = first + i * channels;
        expected[at] =
            (dy[at] - meanGradient - (x[at] - mean) * meanProduct / variance) / Math.sqrt(variance);
      }
    }
    assertClose(backend.download(dx), expected, 4 * ROUNDING);
  }

  @Test
  void runningStatisticsMoveTowardsTheBatch() {
    int channels = 5;
    int rows = 3000;
    float[] x = random.values((long) rows * channels, 2);
    float[] mean = random.values(channels, 1);
    float[] variance = random.around(2, channels);
    ChannelNorm.Batch norm =
        new ChannelNorm.Batch(
            "norm1",
            random.random(channels, 1),
            random.random(channels, 1),
            random.upload(mean),
            random.upload(variance));
    training.updateStatistics(random.upload(x), norm, channels, 0.1);
    double[] means = columnSums(x, channels);
    double[] variances = new double[channels];
    for (int i = 0; i < x.length; i++) {
      double difference = x[i] - means[i % channels] / rows;
      variances[i % channels] += difference * difference / (rows - 1);
    }
    for (int channel = 0; channel < channels; channel++) {
      means[channel] = 0.9 * mean[channel] + 0.1 * means[channel] / rows;
      variances[channel] = 0.9 * variance[channel] + 0.1 * variances[channel];
    }
    assertClose(backend.download(norm.mean()), means, ROUNDING);
    assertClose(backend.download(norm.variance()), variances, ROUNDING);
  }

  @Test
  void leakyReluFollowsTheSignOfTheOutput() {
    float[] y = random.values(10000, 1);
    y[0] = 0;
    y[1] = -0f;
    y[2] = Float.MIN_VALUE;
    y[3] = -Float.MIN_VALUE;
    y[4] = Float.MAX_VALUE;
    y[5] = -Float.MAX_VALUE;
    float[] dy = random.values(y.length, 1);
    Buffer dx = random.upload(dy);
    training.leakyReluBackward(dx, random.upload(y), dx, 0.01);
    float[] actual = backend.download(dx);
    for (int i = 0; i < y.length; i++) {
      assertThat(actual[i]).isEqualTo(y[i] > 0 ? dy[i] : 0.01f * dy[i]);
    }
  }

  @Test
  void rejectsASlopeThatHidesTheSign() {
    Buffer x = random.random(4, 1);
    assertThatThrownBy(() -> training.leakyReluBackward(x, x, x, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("LeakyReLU of slope 0.0, expected above 0 and at most 1");
  }

  @ParameterizedTest(name = "{0} rows of {1}")
  @CsvSource({"1, 1", "5, 3", "3000, 64", "17, 33"})
  void softmax(int rows, int columns) {
    Buffer y = random.random((long) rows * columns, 2);
    backend.softmax(y, y, columns);
    float[] ys = backend.download(y);
    float[] dy = random.values(ys.length, 1);
    Buffer dx = random.upload(dy);
    training.softmaxBackward(dx, y, dx, columns);
    double[] expected = new double[ys.length];
    for (int row = 0; row < rows; row++) {
      double sum = 0;
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        sum += (double) dy[i] * ys[i];
      }
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        expected[i] = ys[i] * (dy[i] - sum);
      }
    }
    if (columns > 1) {
      assertClose(backend.download(dx), expected, tolerance(columns));
    } else {
      assertThat(backend.download(dx)[0]).isCloseTo(0, within(1e-6f));
    }
  }

  @Test
  void addScaled() {
    int channels = 3;
    float[] dy = random.values(50000L * channels, 1);
    float[] b = random.values(dy.length, 1);
    float[] gamma = random.values(channels, 1);
    float[] before = random.values(channels, 1);
    Buffer db = random.upload(b);
    Buffer dgamma = random.upload(before);
    training.addScaledBackward(random.upload(dy), random.upload(gamma), db, db, dgamma, channels);
    double[] expected = new double[dy.length];
    double[] sums = doubles(before);
    for (int i = 0; i < dy.length; i++) {
      expected[i] = (double) gamma[i % channels] * dy[i];
      sums[i % channels] += (double) dy[i] * b[i];
    }
    assertClose(backend.download(db), expected, ROUNDING);
    assertClose(backend.download(dgamma), sums, ROUNDING);
  }

  @ParameterizedTest(name = "{0} values in runs of {1}, {2} scales")
  @CsvSource({"60000, 15000, 4", "6, 2, 3", "9000, 1, 9000", "5, 5, 1"})
  void scaledRuns(int count, int run, int scaleCount) {
    float[] dy = random.values(count, 1);
    float[] x = random.values(count, 1);
    float[] scales = random.values(scaleCount, 1);
    float[] before = random.values(scaleCount, 1);
    Buffer gradient = random.upload(dy);
    Buffer dscales = random.upload(before);
    training.scaleRunsBackward(gradient, random.upload(x), random.upload(scales), dscales, run);
    double[] expected = new double[count];
    double[] sums = doubles(before);
    for (int i = 0; i < count; i++) {
      int scale = i / run % scaleCount;
      expected[i] = (double) dy[i] * scales[scale];
      sums[scale] += (double) dy[i] * x[i];
    }
    assertClose(backend.download(gradient), expected, ROUNDING);
    assertClose(backend.download(dscales), sums, tolerance(count / scaleCount));
  }

  @Test
  void normalizedColumns() {
    int rows = 4000;
    int columns = 24;
    MatrixView y = matrix(rows, columns);
    MatrixView dy = matrix(rows, columns);
    float[] x = backend.download(y.buffer());
    float[] gradient = backend.download(dy.buffer());
    Buffer norms = random.poisoned(columns);
    training.normalizeColumns(y, norms);
    training.normalizeColumnsBackward(dy, y, norms);
    double[] expectedNorms = new double[columns];
    double[] expected = doubles(gradient);
    for (int column = 0; column < columns; column++) {
      double square = 0;
      double product = 0;
      for (int row = 0; row < rows; row++) {
        square += (double) x[at(y, row, column)] * x[at(y, row, column)];
        product += (double) x[at(y, row, column)] * gradient[at(dy, row, column)];
      }
      expectedNorms[column] = Math.sqrt(square);
      for (int row = 0; row < rows; row++) {
        expected[at(dy, row, column)] =
            (gradient[at(dy, row, column)] - x[at(y, row, column)] * product / square)
                / expectedNorms[column];
      }
    }
    float[] actual = backend.download(dy.buffer());
    assertClose(backend.download(norms), expectedNorms, ROUNDING);
    for (int column = 0; column < columns; column++) {
      for (int row = 0; row < rows; row++) {
        int at = at(dy, row, column);
        assertThat((double) actual[at]).isCloseTo(expected[at], within(1e-7));
      }
    }
    assertThat(actual[0]).isEqualTo(gradient[0]); // outside the matrix
  }

  @Test
  void aColumnOfZerosPassesItsGradientOn() {
    Buffer x = random.upload(new float[30]);
    Buffer dy = random.upload(new float[] {1, 2, 3, 4, 5, 6});
    Buffer norms = random.poisoned(3);
    MatrixView y = MatrixView.of(x, 3).rows(0, 2);
    training.normalizeColumns(y, norms);
    training.normalizeColumnsBackward(MatrixView.of(dy, 3), y, norms);
    assertClose(backend.download(dy), new double[] {1e12, 2e12, 3e12, 4e12, 5e12, 6e12}, 1e-6);
  }

  @Test
  void dropoutIsThatOfTheMask() {
    Dropout dropout = new Dropout(0.1, 42, 3, 7);
    float[] x = random.values(100001, 1);
    Buffer y = random.poisoned(x.length);
    training.dropout(random.upload(x), y, dropout, 13);
    float[] factors = new float[x.length];
    new DropoutMask(dropout).factors(13, factors, x.length);
    for (int i = 0; i < x.length; i++) {
      factors[i] *= x[i];
    }
    assertThat(backend.download(y)).isEqualTo(factors);
  }

  @Test
  void channelsAreDroppedWhole() {
    Dropout dropout = new Dropout(0.5, 1, 2, 3);
    Grid grid = new Grid(2, new Extents(3, 20, 30));
    int channels = 20;
    float[] x = random.values(grid.rows() * channels, 1);
    Buffer y = random.upload(x);
    training.channelDropout(y, y, dropout, grid, channels);
    float[] factors = new float[2 * channels];
    new DropoutMask(dropout).factors(0, factors, factors.length);
    float[] actual = backend.download(y);
    for (int i = 0; i < x.length; i++) {
      int item = i / (grid.tokens() * channels);
      assertThat(actual[i]).isEqualTo(x[i] * factors[item * channels + i % channels]);
    }
  }

  @Test
  void noDropoutChangesNothing() {
    float[] x = random.values(5000, 1);
    Buffer y = random.poisoned(x.length);
    training.dropout(random.upload(x), y, Dropout.NONE, 0);
    assertThat(backend.download(y)).isEqualTo(x);
  }

  @ParameterizedTest(name = "{0} classes, {1} voxels, logits of scale {2}")
  @CsvSource({"2, 5, 1", "14, 5000, 3", "4, 2048, 60", "3, 4097, 0.1", "1, 7, 1"})
  void lossSums(int classes, int voxels, double scale) {
    int batch = 2;
    float[] z = random.values((long) batch * classes * voxels, scale);
    float[] target = targets(batch * voxels, classes);
    Buffer probabilities = random.poisoned(z.length);
    LossSums actual =
        training.lossSums(random.upload(z), random.upload(target), probabilities, batch, classes);
    double[] p = softmaxOfClasses(z, classes, voxels);
    double[] overlap = new double[batch * classes];
    double[] predicted = new double[batch * classes];
    double[] count = new double[batch * classes];
    double crossEntropy = 0;
    for (int item = 0; item < batch; item++) {
      for (int voxel = 0; voxel < voxels; voxel++) {
        int label = (int) target[item * voxels + voxel];
        double largest = Double.NEGATIVE_INFINITY;
        for (int k = 0; k < classes; k++) {
          int at = (item * classes + k) * voxels + voxel;
          predicted[item * classes + k] += p[at];
          largest = Math.max(largest, z[at]);
        }
        double sum = 0;
        for (int k = 0; k < classes; k++) {
          sum += Math.exp(z[(item * classes + k) * voxels + voxel] - largest);
        }
        int own = (item * classes + label) * voxels + voxel;
        crossEntropy += largest + Math.log(sum) - z[own];
        overlap[item * classes + label] += p[own];
        count[item * classes + label]++;
      }
    }
    assertClose(backend.download(probabilities), p, 4 * ROUNDING * Math.max(1, scale));
    for (int i = 0; i < batch * classes; i++) {
      assertThat(actual.overlap()[i]).isCloseTo(overlap[i], within(1e-6 * voxels));
      assertThat(actual.predicted()[i]).isCloseTo(predicted[i], within(1e-6 * voxels));
    }
    assertThat(actual.target()).isEqualTo(count);
    assertThat(actual.crossEntropy()).isCloseTo(crossEntropy, within(1e-6 * crossEntropy + 1e-12));
  }

  private float[] targets(int count, int classes) {
    float[] target = random.values(count, 100);
    for (int i = 0; i < count; i++) {
      target[i] = Math.floorMod((int) target[i], classes);
    }
    return target;
  }

  private static double[] softmaxOfClasses(float[] z, int classes, int voxels) {
    double[] p = new double[z.length];
    for (int first = 0; first < z.length; first += classes * voxels) {
      for (int voxel = first; voxel < first + voxels; voxel++) {
        double largest = Double.NEGATIVE_INFINITY;
        double sum = 0;
        for (int k = 0; k < classes; k++) {
          largest = Math.max(largest, z[voxel + k * voxels]);
        }
        for (int k = 0; k < classes; k++) {
          p[voxel + k * voxels] = Math.exp(z[voxel + k * voxels] - largest);
          sum += p[voxel + k * voxels];
        }
        for (int k = 0; k < classes; k++) {
          p[voxel + k * voxels] /= sum;
        }
      }
    }
    return p;
  }

  @Test
  void crossEntropyStaysFiniteWhereTheProbabilityVanishes() {
    Buffer logits = random.upload(new float[] {-300, 0, 200, 0}); // 2 classes of 2 voxels
    Buffer target = random.upload(new float[] {0, 0});
    LossSums sums = training.lossSums(logits, target, random.poisoned(4), 1, 2);
    assertThat(sums.crossEntropy()).isCloseTo(500 + Math.log(2), within(1e-6));
  }

  @Test
  void crossEntropyOfSurePredictionsKeepsItsDigits() {
    Buffer logits = random.upload(new float[] {20, -1}); // 1 - p = 7.6e-10, below float's rounding
    Buffer target = random.upload(new float[] {0});
    LossSums sums = training.lossSums(logits, target, random.poisoned(2), 1, 2);
    assertThat(sums.crossEntropy()).isCloseTo(Math.log1p(Math.exp(-21)), within(1e-15));
  }

  @ParameterizedTest(name = "{0} classes, {1} voxels")
  @CsvSource({"2, 5", "5, 3000", "1, 3"})
  void lossGradient(int classes, int voxels) {
    int batch = 2;
    float[] z = random.values((long) batch * classes * voxels, 2);
    float[] target = targets(batch * voxels, classes);
    Buffer labels = random.upload(target);
    Buffer p = random.poisoned(z.length);
    training.lossSums(random.upload(z), labels, p, batch, classes);
    LossWeights weights =
        new LossWeights(
            doubles(random.values((long) batch * classes, 1)),
            doubles(random.values((long) batch * classes, 1)),
            0.7);
    float[] probabilities = backend.download(p);
    training.lossGradient(p, labels, weights, p, batch, classes);
    double[] expected = new double[z.length];
    for (int item = 0; item < batch; item++) {
      for (int voxel = 0; voxel < voxels; voxel++) {
        int label = (int) target[item * voxels + voxel];
        double mean = 0;
        double[] weight = new double[classes];
        for (int k = 0; k < classes; k++) {
          weight[k] =
              weights.predicted()[item * classes + k]
                  + (k == label ? weights.overlap()[item * classes + k] : 0);
          mean += weight[k] * probabilities[(item * classes + k) * voxels + voxel];
        }
        for (int k = 0; k < classes; k++) {
          int at = (item * classes + k) * voxels + voxel;
          expected[at] =
              probabilities[at] * (weight[k] - mean)
                  + 0.7 * (probabilities[at] - (k == label ? 1 : 0));
        }
      }
    }
    if (classes > 1) {
      assertClose(backend.download(p), expected, 4 * ROUNDING);
    } else {
      assertThat(backend.download(p)).containsOnly(0);
    }
  }

  @Test
  void clearedValuesAreZero() {
    Buffer x = random.poisoned(200001);
    training.clear(x);
    assertThat(backend.download(x)).containsOnly(0);
  }

  @ParameterizedTest(name = "{0} values")
  @ValueSource(ints = {1, 4097, 300000})
  void squaresAreSummedInDouble(int count) {
    float[] x = random.values(count, 3);
    double expected = 0;
    for (float value : x) {
      expected += (double) value * value;
    }
    assertThat(training.sumOfSquares(random.upload(x)))
        .isCloseTo(expected, within(1e-12 * expected));
  }

  @Test
  void descentWithNesterovMomentum() {
    int count = 70000;
    float[] values = random.values(count, 1);
    float[] gradients = random.values(count, 1);
    float[] velocity = random.values(count, 1);
    Buffer value = random.upload(values);
    Buffer speed = random.upload(velocity);
    training.sgd(value, random.upload(gradients), speed, new SgdUpdate(0.01, 0.99, 3e-5, 0.5));
    double[] expected = new double[count];
    double[] expectedSpeed = new double[count];
    for (int i = 0; i < count; i++) {
      double g = 0.5 * gradients[i] + 3e-5 * values[i];
      expectedSpeed[i] = 0.99 * velocity[i] + g;
      expected[i] = values[i] - 0.01 * (g + 0.99 * expectedSpeed[i]);
    }
    assertClose(backend.download(value), expected, ROUNDING);
    assertClose(backend.download(speed), expectedSpeed, ROUNDING);
  }

  @ParameterizedTest(name = "step {0}")
  @ValueSource(longs = {1, 2, 1000})
  void adamWithDecoupledDecay(long step) {
    int count = 5000;
    float[] values = random.values(count, 1);
    float[] gradients = random.values(count, 1);
    float[] first = random.values(count, 0.1);
    float[] second = random.around(0.2, count);
    Buffer value = random.upload(values);
    Buffer mean = random.upload(first);
    Buffer square = random.upload(second);
    training.adamW(
        value,
        random.upload(gradients),
        mean,
        square,
        new AdamUpdate(1e-3, 0.9, 0.999, 1e-8, 0.01, 0.5, step));
    double[] expected = new double[count];
    double[] expectedMean = new double[count];
    double[] expectedSquare = new double[count];
    for (int i = 0; i < count; i++) {
      double g = 0.5 * gradients[i];
      expectedMean[i] = 0.9 * first[i] + 0.1 * g;
      expectedSquare[i] = 0.999 * second[i] + 0.001 * g * g;
      double m = expectedMean[i] / (1 - Math.pow(0.9, (double) step));
      double v = expectedSquare[i] / (1 - Math.pow(0.999, (double) step));
      expected[i] = values[i] - 1e-3 * (0.01 * values[i] + m / (Math.sqrt(v) + 1e-8));
    }
    assertClose(backend.download(value), expected, ROUNDING);
    assertClose(backend.download(mean), expectedMean, ROUNDING);
    assertClose(backend.download(square), expectedSquare, ROUNDING);
  }

  @Test
  void convolutionsFollowTheOptimizer() {
    Grid grid = new Grid(1, Extents.cube(4));
    Convolution shape = Convolution.same3(2, 3);
    float[] x = random.values(grid.rows() * 2, 1);
    Buffer all = random.random(1000, 1);
    Buffer weight = all.slice(100, 2 * 3 * 27);
    Buffer y = random.poisoned(grid.rows() * 3);
    Buffer input = random.upload(x);
    backend.convolution(input, weight, null, y, grid, shape);
    training.sgd(all, random.random(1000, 1), random.random(1000, 1), new SgdUpdate(1, 0, 0, 1));
    backend.convolution(input, weight, null, y, grid, shape);
    float[] now = Arrays.copyOfRange(backend.download(all), 100, 100 + 2 * 3 * 27);
    assertClose(
        backend.download(y), Expected.convolution(x, now, null, grid, shape), tolerance(54));
  }

  @ParameterizedTest(name = "{0} threads")
  @ValueSource(ints = {2, 3})
  void resultsAreTheSameBytesForAnyNumberOfThreads(int threads) {
    try (CpuBackend one = CpuBackend.composed(1);
        CpuBackend many = CpuBackend.composed(threads)) {
      float[][] expected = results(one);
      float[][] actual = results(many);
      for (int i = 0; i < expected.length; i++) {
        assertThat(actual[i]).isEqualTo(expected[i]);
      }
    }
  }

  private static float[][] results(CpuBackend on) {
    TrainingPrimitives primitives = on.training();
    try (MemoryScope _ = on.scopes().open()) {
      Case values = new Case(on, 3);
      Grid grid = new Grid(2, new Extents(9, 24, 25));
      Convolution shape = Convolution.same3(16, 20);
      Buffer x = values.random(grid.rows() * 16, 1);
      Buffer dy = values.random(grid.rows() * 20, 1);
      Buffer dx = values.poisoned(x.elements());
      Buffer weight = values.random(16 * 20 * 27, 1);
      Buffer dweight = values.random(weight.elements(), 1);
      Buffer dbias = values.random(20, 1);
      primitives.convolutionBackwardData(dy, weight, dx, grid, shape);
      primitives.convolutionBackwardWeights(x, dy, dweight, dbias, grid, shape);
      Buffer wide = values.random(128 * 64 * 27, 1);
      Grid deep = new Grid(2, Extents.cube(4));
      primitives.convolutionBackwardWeights(
          values.random(deep.rows() * 128, 1),
          values.random(deep.rows() * 64, 1),
          wide,
          null,
          deep,
          Convolution.same3(128, 64));
      Buffer norm = values.poisoned(x.elements());
      Buffer dgamma = values.random(16, 1);
      Buffer dbeta = values.random(16, 1);
      primitives.groupNormBackward(
          dx, x, values.random(16, 1), norm, dgamma, dbeta, grid, 16, 4, 1e-5);
      primitives.layerNormBackward(dx, x, values.random(16, 1), dx, dgamma, dbeta, 16, 1e-5);
      Buffer target = values.upload(new float[Math.toIntExact(grid.rows())]);
      Buffer p = values.poisoned(x.elements());
      LossSums sums = primitives.lossSums(x, target, p, 2, 16);
      float[] scalars = {(float) sums.crossEntropy(), (float) primitives.sumOfSquares(x)};
      return new float[][] {
        on.download(dx),
        on.download(dweight),
        on.download(dbias),
        on.download(wide),
        on.download(norm),
        on.download(dgamma),
        on.download(dbeta),
        on.download(p),
        scalars
      };
    }
  }
}
