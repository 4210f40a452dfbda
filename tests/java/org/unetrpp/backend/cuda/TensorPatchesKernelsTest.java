package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.TensorPatches.Tiling;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Convolutions of patches for tensor cores on an emulated device. */
class TensorPatchesKernelsTest {
  // As in TensorConvolutionKernelsTest: one rounding to 8 bits, and another of the weights.
  private static final double ROUNDED_ONCE = 2e-3;
  private static final double ROUNDED_TWICE = 3e-3;
  private static final int TERMS_OF_STAGE = 64;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  /** The smaller of the two volumes, and the convolution from the larger to it. */
  record Case(Grid patches, Convolution shape) {
    @Override
    public String toString() {
      return "%d x %s of %d to %d channels, kernel %s"
          .formatted(
              patches.batch(),
              patches.extents(),
              shape.inChannels(),
              shape.outChannels(),
              shape.kernel());
    }

    Grid grid() {
      return patches.times(shape.kernel());
    }

    /** The convolution that goes back. */
    Convolution transposed() {
      return Convolution.patches(shape.outChannels(), shape.inChannels(), shape.kernel());
    }

    long weights() {
      return shape.kernel().voxels() * shape.inChannels() * shape.outChannels();
    }

    long inputs() {
      return grid().rows() * shape.inChannels();
    }

    long outputs() {
      return patches.rows() * shape.outChannels();
    }
  }

  private static Case of(int batch, Extents extents, int in, int out, Extents kernel) {
    return new Case(new Grid(batch, extents), Convolution.patches(in, out, kernel));
  }

  static Stream<Case> cases() {
    return Stream.of(
        // the stems of the published networks, whose runs are 4, 4 and 16 values
        of(1, new Extents(4, 6, 7), 1, 32, new Extents(2, 4, 4)),
        of(2, new Extents(3, 5, 5), 1, 32, new Extents(1, 4, 4)),
        of(1, new Extents(3, 4, 5), 4, 32, Extents.cube(4)),
        // embeddings between stages; tiles that are full, in part and of one voxel
        of(1, new Extents(4, 8, 8), 32, 64, Extents.cube(2)),
        of(2, new Extents(3, 5, 5), 32, 40, Extents.cube(2)),
        of(1, Extents.cube(4), 128, 256, Extents.cube(2)),
        of(3, new Extents(2, 3, 3), 64, 24, Extents.cube(2)),
        of(2, Extents.cube(1), 24, 8, new Extents(1, 2, 3)),
        // more tiles than a block merges moments of
        of(1, new Extents(9, 13, 19), 4, 8, new Extents(1, 1, 2)));
  }

  private static float[] rounded(float... values) {
    for (int i = 0; i < values.length; i++) {
      values[i] = BFloat16.toFloat(BFloat16.fromFloat(values[i]));
    }
    return values;
  }

  /** Weights that bfloat16 represents. */
  private static Pair roundWeights(Twin twin, long count) {
    return twin.pair(DType.FLOAT32, rounded(twin.values(count, 0, 1)));
  }

  private static TensorPatches patches(Twin twin) {
    return new TensorPatches(twin.device().context());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void everyTilingAddsTermsInTheirOrder(Case c) {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair x = twin.activations(c.inputs());
      Pair weight = roundWeights(twin, c.weights());
      TensorPatches patches = patches(twin);
      for (Tiling tiling : patches.forwardTilings(c.grid(), c.shape)) {
        Buffer y = twin.room(c.outputs()).device();
        patches.forward(
            x.device(), weight.device(), Epilogue.NONE, null, y, c.grid(), c.shape, tiling);
        assertThat(twin.device().download(y))
            .as("%s", tiling)
            .containsExactly(
                convolution(
                    twin.device().download(x.device()),
                    twin.device().download(weight.device()),
                    c,
                    tiling.splits().steps() * TERMS_OF_STAGE));
      }
    }
  }

  /** In float, one product added after the other within a split, then one split after the other. */
  private static float[] convolution(float[] x, float[] weight, Case c, int termsOfSplit) {
    int channels = c.shape.inChannels();
    Extents kernel = c.shape.kernel();
    Extents extents = c.grid().extents();
    int taps = (int) kernel.voxels();
    int columns = c.shape.outChannels();
    float[] y = new float[(int) c.outputs()];
    for (int voxel = 0; voxel < c.patches.rows(); voxel++) {
      Extents out = c.patches.extents();
      int w = voxel % out.width();
      int h = voxel / out.width() % out.height();
      int slice = voxel / out.width() / out.height(); // of all items
      for (int n = 0; n < columns; n++) {
        float total = 0;
        float sum = 0;
        for (int term = 0; term < taps * channels; term++) {
          int tap = term / channels;
          int atD = slice * kernel.depth() + tap / kernel.width() / kernel.height();
          int atH = h * kernel.height() + tap / kernel.width() % kernel.height();
          int atW = w * kernel.width() + tap % kernel.width();
          int from =
              ((atD * extents.height() + atH) * extents.width() + atW) * channels + term % channels;
          sum += x[from] * weight[(n * channels + term % channels) * taps + tap];
          if ((term + 1) % termsOfSplit == 0) {
            total += sum;
            sum = 0;
          }
        }
        y[voxel * columns + n] = total + sum;
      }
    }
    return rounded(y);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void statisticsAreOfWhatIsStored(Case c) {
    int channels = c.shape.outChannels();
    int groups = channels / 4;
    try (Twin twin = new Twin(DType.BFLOAT16, false)) {
      Pair x = twin.activations(c.inputs(), 1, 1);
      Pair weight = twin.parameters(c.weights());
      Buffer gamma = twin.parameters(channels).device();
      TensorPatches patches = patches(twin);
      for (Tiling tiling : patches.forwardTilings(c.grid(), c.shape)) {
        Buffer y = twin.room(c.outputs()).device();
        Buffer coefficients = twin.room(DType.FLOAT32, 2L * c.patches.batch() * channels).device();
        GroupStatistics statistics = new GroupStatistics(coefficients, gamma, groups, 1e-5);
        patches.forward(
            x.device(), weight.device(), Epilogue.NONE, statistics, y, c.grid(), c.shape, tiling);
        float[] actual = twin.device().download(coefficients);
        float[] expected =
            coefficients(
                twin.device().download(y), twin.device().download(gamma), c, channels / groups);
        for (int i = 0; i < expected.length; i++) {
          assertThat(actual[i])
              .as("%s of %s", i, tiling)
              .isCloseTo(expected[i], within(4e-6f * (1 + Math.abs(expected[i]))));
        }
      }
    }
  }

  /** Mean and gamma / deviation of each channel of each item, in double. */
  private static float[] coefficients(float[] y, float[] gamma, Case c, int width) {
    int channels = c.shape.outChannels();
    int tokens = c.patches.tokens();
    float[] coefficients = new float[2 * c.patches.batch() * channels];
    for (int i = 0; i < c.patches.batch() * channels; i++) {
      int first = i % channels / width * width;
      double mean = 0;
      double square = 0;
      for (int pass = 0; pass < 2; pass++) {
        double sum = 0;
        for (int token = 0; token < tokens; token++) {
          for (int k = first; k < first + width; k++) {
            double value = y[(i / channels * tokens + token) * channels + k];
            sum += pass == 0 ? value : (value - mean) * (value - mean);
          }
        }
        if (pass == 0) {
          mean = sum / (tokens * width);
        } else {
          square = sum / (tokens * width);
        }
      }
      coefficients[2 * i] = (float) mean;
      coefficients[2 * i + 1] = (float) (gamma[i % channels] / Math.sqrt(square + 1e-5));
    }
    return coefficients;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void forwardEqualsReference(Case c) {
    try (Twin twin = new Twin(DType.BFLOAT16, false)) {
      Pair x = twin.activations(c.inputs());
      Pair weight = twin.parameters(c.weights());
      Pair bias = twin.parameters(c.shape.outChannels());
      Pair addend = twin.activations(c.outputs());
      Pair y = twin.room(c.outputs());
      Epilogue epilogue = new Epilogue(bias.device(), addend.device(), 1);
      patches(twin)
          .forward(x.device(), weight.device(), epilogue, null, y.device(), c.grid(), c.shape);
      twin.reference()
          .convolution(
              x.reference(),
              weight.reference(),
              bias.reference(),
              y.reference(),
              c.grid(),
              c.shape);
      twin.reference().add(y.reference(), addend.reference(), y.reference());
      twin.assertSame(ROUNDED_TWICE, y);
    }
  }

  /** Those whose transposed convolution reads as many channels as are copied at once. */
  static Stream<Case> transposedCases() {
    return Stream.concat(
        cases(),
        Stream.of(
            of(1, new Extents(3, 5, 6), 16, 32, new Extents(2, 4, 4)),
            of(2, new Extents(3, 3, 3), 12, 72, Extents.cube(2))));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("transposedCases")
  void upsamplingIsThatOfTheOtherKernels(Case c) {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Buffer x = twin.activations(c.outputs()).device();
      Buffer weight = roundWeights(twin, c.weights()).device();
      Buffer skip = twin.activations(c.inputs()).device();
      TensorPatches patches = patches(twin);
      for (Tiling tiling : patches.transposedTilings(c.patches, c.transposed())) {
        for (Buffer added : new Buffer[] {null, skip}) {
          Buffer expected = twin.room(c.inputs()).device();
          Buffer y = twin.room(c.inputs()).device();
          twin.device()
              .transposedConvolution()
              .forward(x, weight, added, expected, c.patches, c.transposed());
          patches.transposed(x, weight, added, y, c.patches, c.transposed(), tiling);
          assertThat(twin.device().download(y))
              .as("%s, skip %s", tiling, added)
              .containsExactly(twin.device().download(expected));
        }
      }
    }
  }

  @Test
  void aSkipMayBeWhereTheResultGoes() {
    Case c = of(1, new Extents(3, 5, 6), 16, 32, new Extents(2, 4, 4));
    try (Twin twin = new Twin(DType.BFLOAT16, false)) {
      Buffer x = twin.activations(c.outputs()).device();
      Buffer weight = twin.parameters(c.weights()).device();
      Buffer skip = twin.activations(c.inputs()).device();
      Buffer y = twin.room(c.inputs()).device();
      TensorPatches patches = patches(twin);
      patches.transposed(x, weight, skip, y, c.patches, c.transposed());
      patches.transposed(x, weight, skip, skip, c.patches, c.transposed());
      assertThat(twin.device().download(skip)).containsExactly(twin.device().download(y));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("transposedCases")
  void gradientEqualsReference(Case c) {
    try (Twin twin = new Twin(DType.BFLOAT16, false)) {
      Pair dy = twin.activations(c.outputs());
      Pair weight = roundWeights(twin, c.weights());
      Pair dx = twin.room(c.inputs());
      new TensorConvolutions(twin.device().context())
          .backwardData(dy.device(), weight.device(), dx.device(), c.grid(), c.shape);
      twin.reference()
          .training()
          .convolutionBackwardData(
              dy.reference(), weight.reference(), dx.reference(), c.grid(), c.shape);
      twin.assertSame(ROUNDED_ONCE, dx);
    }
  }

  @Test
  void onlyWhatTheKernelsComputeIsOffered() {
    Extents two = Extents.cube(2);
    assertThat(refusal(Extents.cube(4), Convolution.patches(32, 64, two))).isNull();
    assertThat(refusal(Extents.cube(4), Convolution.patches(1, 8, Extents.cube(4)))).isNull();
    assertThat(refusal(Extents.cube(5), Convolution.patches(32, 64, two)))
        .isEqualTo("patches do not fill 5x5x5");
    assertThat(refusal(Extents.cube(4), Convolution.patches(1, 64, two)))
        .isEqualTo("2 neighboring values of a patch are no multiple of 4");
    assertThat(refusal(Extents.cube(4), Convolution.patches(8, 12, two)))
        .isEqualTo("12 channels are no multiple of 8");
  }

  private static @Nullable String refusal(Extents extents, Convolution shape) {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      ConvolutionWork work =
          new ConvolutionWork(
              Direction.FORWARD, DType.BFLOAT16, Precision.FLOAT32, new Grid(1, extents), shape);
      return new TensorConvolutions(twin.device().context()).refusal(work);
    }
  }
}
