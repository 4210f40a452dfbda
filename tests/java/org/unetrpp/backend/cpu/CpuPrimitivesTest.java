package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.unetrpp.backend.cpu.Case.assertClose;
import static org.unetrpp.backend.cpu.Case.doubles;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;

/** Every primitive of the CPU backend against plain loops in double. */
class CpuPrimitivesTest {
  /** A few roundings of float32, 6e-8 each; sums of n terms add about sqrt(n) of them. */
  private static final double ROUNDING = 5e-7;

  private static CpuBackend backend;
  private MemoryScope scope;
  private Case random;

  @BeforeAll
  static void open() {
    backend = CpuBackend.composed(3);
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // release closes it
  void openScope() {
    scope = backend.scopes().open();
    random = new Case(backend, 7);
  }

  @AfterEach
  void release() {
    scope.close();
    assertThat(backend.allocator().bytesInUse()).isZero();
  }

  private static double tolerance(int terms) {
    return ROUNDING * Math.sqrt(terms);
  }

  @ParameterizedTest(name = "{0}->{1} of {3}x{4}x{5}, batch {2}, bias {6}")
  @CsvSource({
    "1, 16, 1, 4, 9, 7, false",
    "4, 16, 2, 3, 8, 8, false",
    "16, 16, 1, 5, 12, 11, false",
    "16, 16, 1, 1, 6, 6, true",
    "32, 32, 2, 2, 4, 4, true",
    "3, 5, 2, 3, 5, 4, true",
    "64, 64, 1, 4, 2, 2, false",
    "7, 2, 1, 2, 1, 3, false"
  })
  void convolutionOfKernel3(int in, int out, int batch, int d, int h, int w, boolean biased) {
    convolutionMatches(Convolution.same3(in, out), new Grid(batch, new Extents(d, h, w)), biased);
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
    Grid grid = new Grid(2, kernel.times(new Extents(3, 2, 5)));
    convolutionMatches(Convolution.patches(in, out, kernel), grid, false);
  }

  @ParameterizedTest(name = "{0}->{1}")
  @CsvSource({"16, 14", "32, 32", "5, 3", "1, 1", "256, 256"})
  void convolutionOfKernel1(int in, int out) {
    convolutionMatches(Convolution.pointwise(in, out), new Grid(2, new Extents(3, 5, 4)), true);
  }

  @Test
  void convolutionWithOverlappingStrideAndOddPadding() {
    Convolution shape =
        new Convolution(3, 4, new Extents(3, 5, 2), new Extents(2, 3, 1), new Extents(1, 2, 0));
    convolutionMatches(shape, new Grid(2, new Extents(6, 10, 5)), true);
  }

  private void convolutionMatches(Convolution shape, Grid grid, boolean biased) {
    Extents in = grid.extents();
    Extents out = shape.output(in);
    int kernel = Math.toIntExact(shape.kernel().voxels());
    float[] x = random.values(grid.rows() * shape.inChannels(), 1);
    float[] weight = random.values((long) shape.outChannels() * shape.inChannels() * kernel, 0.2);
    float[] bias = random.values(shape.outChannels(), 1);
    Buffer y = random.poisoned(grid.batch() * out.voxels() * shape.outChannels());
    backend.convolution(
        random.upload(x),
        random.upload(weight),
        biased ? random.upload(bias) : null,
        y,
        grid,
        shape);
    double[] expected = Expected.convolution(x, weight, biased ? bias : null, grid, shape);
    assertClose(backend.download(y), expected, tolerance(shape.inChannels() * kernel));
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
    Convolution shape = Convolution.patches(in, out, kernel);
    float[] x = random.values(grid.rows() * in, 1);
    float[] weight = random.values(kernel.voxels() * in * out, 0.2);
    Buffer y = random.poisoned(grid.times(kernel).rows() * out);
    backend.transposedConvolution(random.upload(x), random.upload(weight), y, grid, shape);
    assertClose(
        backend.download(y), Expected.transposedConvolution(x, weight, grid, shape), tolerance(in));
  }

  @ParameterizedTest(name = "{0}x{1}x{2}, transposed {3} {4}, accumulate {5}")
  @CsvSource({
    "1, 1, 1, false, false, false",
    "7, 5, 3, false, false, true",
    "7, 5, 3, true, false, false",
    "7, 5, 3, false, true, true",
    "7, 5, 3, true, true, false",
    "600, 700, 33, false, true, false",
    "16, 24, 5000, true, false, true",
    "300, 9, 2500, false, true, true",
    "5, 6, 3000, true, true, false"
  })
  void matrixProduct(
      int rows,
      int columns,
      int inner,
      boolean transposeA,
      boolean transposeB,
      boolean accumulate) {
    MatrixView a = matrix(transposeA ? inner : rows, transposeA ? rows : inner);
    MatrixView b = matrix(transposeB ? columns : inner, transposeB ? inner : columns);
    MatrixView c = matrix(rows, columns);
    float[] before = backend.download(c.buffer());
    float[] as = backend.download(a.buffer());
    float[] bs = backend.download(b.buffer());
    backend.matrixProduct(a, transposeA, b, transposeB, c, accumulate);
    double[] expected = doubles(before);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        int at = at(c, i, j);
        double sum = accumulate ? before[at] : 0;
        for (int k = 0; k < inner; k++) {
          sum +=
              (double) as[transposeA ? at(a, k, i) : at(a, i, k)]
                  * bs[transposeB ? at(b, j, k) : at(b, k, j)];
        }
        expected[at] = sum;
      }
    }
    assertClose(backend.download(c.buffer()), expected, tolerance(inner));
  }

  /** A matrix inside a wider buffer. */
  private MatrixView matrix(int rows, int columns) {
    long stride = columns + 3L;
    return new MatrixView(random.random(2 + rows * stride, 1), 2, rows, columns, stride);
  }

  private static int at(MatrixView view, int row, int column) {
    return (int) (view.offset() + row * view.rowStride() + column);
  }

  @Test
  void biasIsAddedToEachRowOfAView() {
    MatrixView x = matrix(700, 13);
    Buffer bias = random.random(13, 1);
    double[] expected = doubles(backend.download(x.buffer()));
    float[] addend = backend.download(bias);
    for (int row = 0; row < 700; row++) {
      for (int column = 0; column < 13; column++) {
        expected[at(x, row, column)] += addend[column];
      }
    }
    backend.addBias(x, bias);
    assertClose(backend.download(x.buffer()), expected, ROUNDING);
  }

  @ParameterizedTest(name = "{0} rows of {1}")
  @CsvSource({"1, 1", "3, 7", "9, 32", "5000, 33", "70, 256"})
  void layerNorm(int rows, int channels) {
    float[] x = random.values((long) rows * channels, 3);
    float[] gamma = random.around(1, channels);
    float[] beta = random.values(channels, 1);
    Buffer y = random.poisoned(x.length);
    backend.layerNorm(
        random.upload(x), random.upload(gamma), random.upload(beta), y, channels, 1e-5);
    assertClose(
        backend.download(y), Expected.layerNorm(x, gamma, beta, channels, 1e-5), 4 * ROUNDING);
  }

  @ParameterizedTest(name = "{0} channels in {1} groups, {2}x{2}x{2}")
  @CsvSource({"32, 1, 4", "64, 32, 9", "16, 16, 20", "6, 3, 1", "5, 5, 3", "300, 4, 5"})
  void groupNorm(int channels, int groups, int edge) {
    Grid grid = new Grid(2, Extents.cube(edge));
    float[] x = random.values(grid.rows() * channels, 2);
    for (int i = 0; i < x.length; i++) {
      x[i] += 5 + i % channels; // means that are large against the deviations
    }
    float[] gamma = random.around(1, channels);
    float[] beta = random.values(channels, 1);
    Buffer y = random.upload(x);
    backend.groupNorm(
        y, random.upload(gamma), random.upload(beta), y, grid, channels, groups, 1e-5);
    double meanOverDeviation = 5 + channels;
    double lostToOneVoxel = edge == 1 && groups == channels ? 400 : 1;
    assertClose(
        backend.download(y),
        Expected.groupNorm(x, gamma, beta, grid, channels, groups, 1e-5),
        ROUNDING * meanOverDeviation * lostToOneVoxel);
  }

  @Test
  void groupNormWithoutScaleIsInstanceNorm() {
    Grid grid = new Grid(3, new Extents(4, 5, 6));
    float[] x = random.values(grid.rows() * 16, 2);
    Buffer y = random.poisoned(x.length);
    backend.groupNorm(random.upload(x), null, null, y, grid, 16, 16, 1e-5);
    assertClose(
        backend.download(y), Expected.groupNorm(x, null, null, grid, 16, 16, 1e-5), 4 * ROUNDING);
  }

  @Test
  void statisticsKeepTheirDigitsFarFromZero() {
    Grid grid = new Grid(1, Extents.cube(40));
    float[] x = random.values(grid.rows() * 2, 1);
    for (int i = 0; i < x.length; i++) {
      x[i] += 4096; // in steps of 2^-11: variances of E[x^2] - E[x]^2 in float would be noise
    }
    Buffer y = random.upload(x);
    backend.groupNorm(y, null, null, y, grid, 2, 2, 1e-5);
    double[] expected = Expected.groupNorm(x, null, null, grid, 2, 2, 1e-5);
    assertClose(backend.download(y), expected, 1e-4);
  }

  @Test
  void batchNorm() {
    int channels = 24;
    float[] x = random.values(1000L * channels, 2);
    float[] gamma = random.around(1, channels);
    float[] beta = random.values(channels, 1);
    float[] mean = random.values(channels, 1);
    float[] variance = random.around(2, channels);
    ChannelNorm.Batch norm =
        new ChannelNorm.Batch(
            "norm1",
            random.upload(gamma),
            random.upload(beta),
            random.upload(mean),
            random.upload(variance));
    Buffer y = random.poisoned(x.length);
    backend.batchNorm(random.upload(x), norm, y, channels, 1e-5);
    double[] expected = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      int c = i % channels;
      expected[i] = (x[i] - mean[c]) / Math.sqrt(variance[c] + 1e-5) * gamma[c] + beta[c];
    }
    assertClose(backend.download(y), expected, ROUNDING);
  }

  @ParameterizedTest(name = "{0} values")
  @ValueSource(ints = {1, 4095, 4096, 100001})
  void leakyRelu(int count) {
    float[] x = random.values(count, 1);
    Buffer y = random.poisoned(count);
    backend.leakyRelu(random.upload(x), y, 0.01);
    double[] expected = new double[count];
    for (int i = 0; i < count; i++) {
      expected[i] = x[i] > 0 ? x[i] : 0.01 * x[i];
    }
    assertClose(backend.download(y), expected, ROUNDING);
  }

  @ParameterizedTest(name = "{0} rows of {1}")
  @CsvSource({"1, 1", "5, 3", "3000, 64", "17, 33", "2, 70000"})
  void softmax(int rows, int columns) {
    float[] x = random.values((long) rows * columns, 4);
    Buffer y = random.upload(x);
    backend.softmax(y, y, columns);
    assertClose(backend.download(y), Expected.softmax(x, columns), 4 * tolerance(columns));
  }

  @ParameterizedTest(name = "{0} values plus {1}, repeated")
  @CsvSource({"10, 10", "100000, 100000", "100000, 10", "90000, 30000", "12, 1"})
  void addRepeatsTheShorter(int count, int shorter) {
    float[] a = random.values(count, 1);
    float[] b = random.values(shorter, 1);
    Buffer y = random.poisoned(count);
    backend.add(random.upload(a), random.upload(b), y);
    double[] expected = new double[count];
    for (int i = 0; i < count; i++) {
      expected[i] = (double) a[i] + b[i % shorter];
    }
    assertClose(backend.download(y), expected, ROUNDING);
  }

  @Test
  void addScaledByChannel() {
    float[] a = random.values(70000L * 3, 1);
    float[] b = random.values(70000L * 3, 1);
    float[] gamma = random.values(3, 1);
    Buffer y = random.upload(a);
    backend.addScaled(y, random.upload(gamma), random.upload(b), y, 3);
    double[] expected = new double[a.length];
    for (int i = 0; i < a.length; i++) {
      expected[i] = a[i] + (double) gamma[i % 3] * b[i];
    }
    assertClose(backend.download(y), expected, ROUNDING);
  }

  @Test
  void runsAreScaled() {
    float[] x = random.values(60000, 1);
    float[] scales = random.values(4, 1);
    Buffer y = random.upload(x);
    backend.scaleRuns(y, random.upload(scales), 7500);
    double[] expected = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      expected[i] = (double) x[i] * scales[i / 7500 % 4];
    }
    assertClose(backend.download(y), expected, ROUNDING);
  }

  @Test
  void columnsAreNormalized() {
    MatrixView x = matrix(4000, 24);
    float[] before = backend.download(x.buffer());
    double[] expected = doubles(before);
    for (int column = 0; column < 24; column++) {
      double sum = 0;
      for (int row = 0; row < 4000; row++) {
        sum += expected[at(x, row, column)] * expected[at(x, row, column)];
      }
      for (int row = 0; row < 4000; row++) {
        expected[at(x, row, column)] /= Math.sqrt(sum);
      }
    }
    backend.normalizeColumns(x);
    assertClose(backend.download(x.buffer()), expected, ROUNDING);
  }

  @Test
  void aColumnOfZerosStaysZero() {
    Buffer x = random.upload(new float[30]);
    backend.normalizeColumns(MatrixView.of(x, 3));
    assertThat(backend.download(x)).containsOnly(0);
  }

  @ParameterizedTest(name = "{0} channels of {1} voxels")
  @CsvSource({"1, 1", "14, 5000", "4, 4096", "256, 64", "3, 9001"})
  void channelsGoLastAndFirstAgain(int channels, int voxels) {
    Grid grid = new Grid(2, new Extents(1, 1, voxels));
    float[] x = random.values(grid.rows() * channels, 1);
    Buffer last = random.poisoned(x.length);
    Buffer first = random.poisoned(x.length);
    backend.channelsLast(random.upload(x), last, grid, channels);
    backend.channelsFirst(last, first, grid, channels);
    assertThat(backend.download(first)).isEqualTo(x);
    float[] moved = backend.download(last);
    int item = voxels * channels;
    for (int i = 0; i < x.length; i++) {
      int voxel = i % item % voxels;
      int channel = i % item / voxels;
      assertThat(moved[i / item * item + voxel * channels + channel]).isEqualTo(x[i]);
    }
  }

  @Test
  void valuesComeBackAsTheyWent() {
    float[] values = random.values(1000, 1);
    Buffer buffer = random.poisoned(1000);
    backend.upload(MemorySegment.ofArray(values), buffer);
    float[] copy = new float[1000];
    backend.download(buffer, MemorySegment.ofArray(copy));
    assertThat(copy).isEqualTo(values);
    assertThat(backend.downloadDouble(buffer)).isEqualTo(doubles(values));
  }

  @Test
  void rejectsValuesOfAnotherCount() {
    Buffer buffer = random.poisoned(10);
    assertThatThrownBy(() -> backend.upload(new float[9], buffer))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("36 bytes of values for a buffer of 40");
  }

  @Test
  void rejectsABufferOfAnotherType() {
    Buffer buffer = backend.scopes().allocate(DType.BFLOAT16, 10);
    assertThatThrownBy(() -> backend.download(buffer))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("BFLOAT16");
  }

  @Test
  void uploadingToAWeightTakesEffect() {
    Grid grid = new Grid(1, Extents.cube(4));
    Convolution shape = Convolution.same3(3, 4);
    float[] x = random.values(grid.rows() * 3, 1);
    float[] second = random.values(4 * 3 * 27, 1);
    Buffer input = random.upload(x);
    Buffer weight = random.random(4 * 3 * 27, 1);
    Buffer y = random.poisoned(grid.rows() * 4);
    backend.convolution(input, weight, null, y, grid, shape);
    backend.upload(second, weight);
    backend.convolution(input, weight, null, y, grid, shape);
    assertClose(
        backend.download(y), Expected.convolution(x, second, null, grid, shape), tolerance(81));
  }
}
