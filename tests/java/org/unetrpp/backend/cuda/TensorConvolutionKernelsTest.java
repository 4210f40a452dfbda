package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.TensorConvolutions.Product;
import org.unetrpp.backend.cuda.TensorConvolutions.Tiling;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** The convolutions for tensor cores on an emulated device, against the reference. */
class TensorConvolutionKernelsTest {
  // The result is rounded to 8 bits once: a root mean square error of 2^-7 / sqrt(12) of values
  // between 1 and 2, whose root mean square is 1.47 where exponents are equally likely: 1.5e-3.
  // Sums in float of up to 6912 products are off by less than 1e-5.
  private static final double ROUNDED_ONCE = 2e-3;
  // The weights are rounded to 8 bits as well: sqrt(2) times that.
  private static final double ROUNDED_TWICE = 3e-3;
  private static final Epilogue NOTHING = new Epilogue(null, null, 1);

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  record Case(Grid grid, Convolution shape) {
    @Override
    public String toString() {
      return "%d x %s of %d to %d channels"
          .formatted(grid.batch(), grid.extents(), shape.inChannels(), shape.outChannels());
    }

    long weights() {
      return shape.kernel().voxels() * shape.inChannels() * shape.outChannels();
    }

    long inputs() {
      return grid.rows() * shape.inChannels();
    }

    long outputs() {
      return grid.rows() * shape.outChannels();
    }
  }

  private static Case of(int batch, int d, int h, int w, int in, int out) {
    return new Case(new Grid(batch, new Extents(d, h, w)), Convolution.same3(in, out));
  }

  /** The emulated device has 12 multiprocessors; fewer blocks share their sums. */
  static Stream<Arguments> cases() {
    return Stream.of(
            // columns of 12x32 voxels, that fill, underfill and overrun; in parts of one plane, of
            // some, and of the whole depth
            of(1, 5, 12, 32, 16, 16),
            of(2, 7, 13, 33, 16, 16),
            of(1, 13, 10, 40, 16, 16),
            of(1, 3, 5, 9, 8, 8),
            of(2, 4, 24, 20, 16, 32),
            of(1, 6, 9, 31, 8, 24),
            of(1, 1, 1, 1, 16, 16),
            // tiles of 4x8x8 voxels
            of(1, 8, 16, 24, 32, 32),
            of(2, 8, 15, 23, 24, 40),
            of(1, 4, 8, 8, 16, 384),
            of(1, 8, 16, 24, 64, 64),
            // tiles of 4x4x4 voxels; in one split and in several, of as many chunks and of fewer
            of(1, 8, 8, 8, 32, 32),
            of(1, 4, 8, 8, 64, 64),
            of(2, 4, 4, 4, 128, 128),
            of(1, 4, 4, 4, 256, 256),
            of(1, 4, 4, 4, 256, 128),
            of(1, 2, 5, 5, 256, 64),
            of(2, 3, 6, 5, 48, 40),
            of(1, 4, 3, 6, 72, 24),
            of(1, 1, 1, 1, 40, 48))
        .flatMap(c -> Stream.of(Arguments.of(c, false), Arguments.of(c, true)));
  }

  /** Weights that bfloat16 represents. */
  private static Pair roundWeights(Twin twin, long count) {
    float[] values = twin.values(count, 0, 1);
    for (int i = 0; i < values.length; i++) {
      values[i] = BFloat16.toFloat(BFloat16.fromFloat(values[i]));
    }
    return twin.pair(DType.FLOAT32, values);
  }

  private static TensorConvolutions tensor(Twin twin) {
    return new TensorConvolutions(twin.device().context());
  }

  @ParameterizedTest(name = "{0}, backwards {1}")
  @MethodSource("cases")
  void forwardEqualsReference(Case c, boolean backwards) {
    try (Twin twin = new Twin(DType.BFLOAT16, backwards)) {
      Pair x = twin.activations(c.inputs());
      Pair weight = roundWeights(twin, c.weights());
      Pair y = twin.room(c.outputs());
      tensor(twin).forward(x.device(), weight.device(), NOTHING, y.device(), c.grid, c.shape);
      twin.reference()
          .convolution(x.reference(), weight.reference(), null, y.reference(), c.grid, c.shape);
      twin.assertSame(ROUNDED_ONCE, y);
    }
  }

  @ParameterizedTest(name = "{0}, backwards {1}")
  @MethodSource("cases")
  void backwardDataEqualsReference(Case c, boolean backwards) {
    try (Twin twin = new Twin(DType.BFLOAT16, backwards)) {
      Pair dy = twin.activations(c.outputs());
      Pair weight = roundWeights(twin, c.weights());
      Pair dx = twin.room(c.inputs());
      tensor(twin).backwardData(dy.device(), weight.device(), dx.device(), c.grid, c.shape);
      twin.reference()
          .training()
          .convolutionBackwardData(
              dy.reference(), weight.reference(), dx.reference(), c.grid, c.shape);
      twin.assertSame(ROUNDED_ONCE, dx);
    }
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource({"16, 3, 17, 9", "32, 8, 16, 24", "24, 8, 8, 8", "64, 3, 4, 5"})
  void weightsOfFloatAreRounded(int channels, int d, int h, int w) {
    Case c = of(1, d, h, w, channels, channels);
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair x = twin.activations(c.inputs());
      Pair weight = twin.parameters(c.weights());
      Pair y = twin.room(c.outputs());
      tensor(twin).forward(x.device(), weight.device(), NOTHING, y.device(), c.grid, c.shape);
      twin.reference()
          .convolution(x.reference(), weight.reference(), null, y.reference(), c.grid, c.shape);
      twin.assertSame(ROUNDED_TWICE, y);
    }
  }

  static Stream<Arguments> epilogues() {
    return Stream.of(
            of(1, 5, 17, 33, 16, 24), // in columns
            of(1, 8, 16, 24, 32, 32), // in large tiles
            of(1, 8, 8, 8, 24, 48), // in small ones
            of(1, 3, 4, 5, 64, 40)) // in small ones that are split
        .flatMap(c ->
            Stream.of(
                Arguments.of(c, true, false, 1.0),
                Arguments.of(c, false, true, 1.0),
                Arguments.of(c, false, false, 0.01),
                Arguments.of(c, true, true, 0.01)));
  }

  @ParameterizedTest(name = "{0}, bias {1}, addend {2}, slope {3}")
  @MethodSource("epilogues")
  void epilogueIsThatOfTheReference(Case c, boolean biased, boolean added, double slope) {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair x = twin.activations(c.inputs());
      Pair weight = roundWeights(twin, c.weights());
      Pair bias = biased ? twin.parameters(c.shape.outChannels()) : null;
      Pair addend = added ? twin.activations(c.outputs(), 0, 20) : null;
      Pair y = twin.room(c.outputs());
      Epilogue epilogue = new Epilogue(Twin.device(bias), Twin.device(addend), slope);
      tensor(twin).forward(x.device(), weight.device(), epilogue, y.device(), c.grid, c.shape);
      twin.reference()
          .convolution(
              x.reference(),
              weight.reference(),
              Twin.reference(bias),
              y.reference(),
              c.grid,
              c.shape);
      finish(twin, y.reference(), Twin.reference(addend), slope);
      twin.assertSame(ROUNDED_ONCE, y);
    }
  }

  static Stream<Case> tails() {
    return Stream.of(
        // a block has all channels
        of(1, 8, 16, 24, 32, 32),
        of(2, 5, 7, 9, 24, 24),
        of(1, 3, 5, 4, 48, 16),
        // the last block of a tile gets them
        of(1, 4, 8, 8, 64, 64),
        of(2, 3, 6, 5, 48, 48),
        of(1, 5, 9, 4, 24, 40),
        of(2, 4, 4, 4, 128, 128),
        of(1, 2, 5, 5, 256, 256));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("tails")
  void aTailIsAConvolutionOfTheSameValues(Case c) {
    int channels = c.shape.outChannels();
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair x = twin.activations(c.inputs());
      Pair weight = roundWeights(twin, c.weights());
      Epilogue epilogue =
          new Epilogue(
              twin.parameters(channels).device(), twin.activations(c.outputs()).device(), 0.01);
      Pair tailWeight = roundWeights(twin, (long) channels * channels);
      Pair bias = twin.parameters(channels);
      Pair skip = twin.activations(c.outputs(), 0, 20);
      Tail tail = new Tail(tailWeight.device(), bias.device(), skip.device());
      TensorConvolutions tensor = tensor(twin);
      Product fused = product(x, weight, epilogue, tail, twin.room(c.outputs()), c);
      for (Tiling tiling : tensor.tilings(fused)) {
        Product plain = product(x, weight, epilogue, null, twin.room(c.outputs()), c);
        tensor.tiled(plain, tiling);
        tensor.tiled(fused, tiling);
        assertThat(twin.device().download(fused.y()))
            .as("%s", tiling)
            .containsExactly(tail(twin, plain.y(), tailWeight, bias, skip, channels));
      }
    }
  }

  private static Product product(
      Pair x, Pair weight, Epilogue epilogue, @Nullable Tail tail, Pair y, Case c) {
    return new Product(x.device(), weight.device(), epilogue, tail, y.device(), c.grid, c.shape);
  }

  /** In float, one product added after the other. */
  private static float[] tail(
      Twin twin, Buffer z, Pair weight, Pair bias, Pair skip, int channels) {
    float[] values = twin.device().download(z);
    float[] weights = twin.device().download(weight.device());
    float[] biases = twin.device().download(bias.device());
    float[] skips = twin.device().download(skip.device());
    float[] y = new float[values.length];
    for (int i = 0; i < y.length; i++) {
      int column = i % channels;
      float sum = 0;
      for (int k = 0; k < channels; k++) {
        sum += values[i - column + k] * weights[column * channels + k];
      }
      y[i] = BFloat16.toFloat(BFloat16.fromFloat(sum + biases[column] + skips[i]));
    }
    return y;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("tails")
  void aTailIsThatOfTheReference(Case c) {
    int channels = c.shape.outChannels();
    Convolution pointwise = Convolution.pointwise(channels, channels);
    try (Twin twin = new Twin(DType.BFLOAT16, false)) {
      Pair x = twin.activations(c.inputs());
      Pair weight = roundWeights(twin, c.weights());
      Pair tailWeight = roundWeights(twin, (long) channels * channels);
      Pair z = twin.room(c.outputs());
      Pair y = twin.room(c.outputs());
      Tail tail = new Tail(tailWeight.device(), null, null);
      TensorConvolutions tensor = tensor(twin);
      tensor.forward(x.device(), weight.device(), NOTHING, tail, y.device(), c.grid, c.shape);
      twin.reference()
          .convolution(x.reference(), weight.reference(), null, z.reference(), c.grid, c.shape);
      twin.reference()
          .convolution(
              z.reference(), tailWeight.reference(), null, y.reference(), c.grid, pointwise);
      twin.assertSame(ROUNDED_TWICE, y); // z and y
    }
  }

  @Test
  void tailsAreRefusedWhereThereIsNoRoom() {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Buffer values = twin.activations(8).device();
      Buffer y = twin.room(8).device();
      Grid grid = new Grid(1, Extents.cube(1));
      Tail tail = new Tail(values, null, values);
      TensorConvolutions tensor = tensor(twin);
      Convolution wide = Convolution.same3(256, 256);
      Convolution wider = Convolution.same3(264, 264);
      Convolution narrow = Convolution.same3(16, 16);
      assertThat(tensor.takesTail(values, NOTHING, tail, y, grid, wide)).isTrue();
      assertThat(tensor.takesTail(values, NOTHING, tail, y, grid, wider)).isFalse();
      assertThat(tensor.takesTail(values, NOTHING, tail, y, grid, narrow)).isFalse();
      assertThat(tensor.takesTail(values, NOTHING, tail, values, grid, wide)).isFalse();
      assertThatThrownBy(() -> tensor.forward(values, values, NOTHING, tail, y, grid, wider))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("cannot have a tail");
    }
  }

  @Test
  void onlyAlignedSkipsAreAddedOnTensorCores() {
    Grid grid = new Grid(1, Extents.cube(2));
    Convolution shape = Convolution.same3(24, 24);
    Convolution up = Convolution.patches(24, 8, Extents.cube(2));
    try (CudaBackend backend = EmulatedCuda.openOnTensorCores(false);
        var _ = backend.scopes().open()) {
      Convolutions convolutions = backend.convolutions();
      Buffer x = backend.scopes().allocate(DType.BFLOAT16, 8 * 24);
      Buffer y = backend.scopes().allocate(DType.BFLOAT16, 8 * 24);
      Buffer larger = backend.scopes().allocate(DType.BFLOAT16, 64 * 8);
      Buffer weight = backend.scopes().allocate(DType.FLOAT32, 8 * 24 * 24);
      Buffer room = backend.scopes().allocate(DType.BFLOAT16, 64 * 8 + 1);
      Tail aligned = new Tail(weight, null, x);
      Tail unaligned = new Tail(weight, null, room.slice(1, 8 * 24));
      assertThat(convolutions.takesTail(x, NOTHING, aligned, y, grid, shape)).isTrue();
      assertThat(convolutions.takesTail(x, NOTHING, unaligned, y, grid, shape)).isFalse();
      assertThat(convolutions.upsample(x, weight, null, larger, grid, up)).isTrue();
      assertThat(convolutions.upsample(x, weight, room.slice(1, 64 * 8), larger, grid, up))
          .isFalse();
    }
  }

  @Test
  void otherKernelsHaveNoTails() {
    Grid grid = new Grid(1, Extents.cube(1));
    Convolution shape = Convolution.same3(24, 24);
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Buffer x = twin.activations(24).device();
      Tail tail = new Tail(x, null, x);
      Convolutions own = twin.device().convolutions();
      assertThat(own.takesTail(x, NOTHING, tail, x, grid, shape)).isFalse();
      assertThatThrownBy(() -> own.forward(x, x, NOTHING, tail, x, grid, shape))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("own has no tails");
    }
  }

  private static void finish(Twin twin, Buffer y, @Nullable Buffer addend, double slope) {
    if (addend != null) {
      twin.reference().add(y, addend, y);
    }
    double[] values = twin.reference().downloadDouble(y);
    float[] finished = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      finished[i] = (float) (values[i] < 0 ? slope * values[i] : values[i]);
    }
    twin.reference().upload(finished, y);
  }

  @Test
  void anAddendMayBeWhereTheResultGoes() {
    Case c = of(1, 3, 5, 9, 16, 16);
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair x = twin.activations(c.inputs());
      Pair weight = roundWeights(twin, c.weights());
      Pair y = twin.activations(c.outputs());
      Pair expected = twin.room(c.outputs());
      Epilogue epilogue = new Epilogue(null, y.device(), 1);
      tensor(twin).forward(x.device(), weight.device(), epilogue, y.device(), c.grid, c.shape);
      twin.reference()
          .convolution(
              x.reference(), weight.reference(), null, expected.reference(), c.grid, c.shape);
      twin.reference().add(expected.reference(), y.reference(), expected.reference());
      twin.assertSame(ROUNDED_ONCE, new Pair(y.device(), expected.reference()));
    }
  }

  @Test
  void bothOrdersOfThreadsGiveTheSameBytes() {
    Case c = of(1, 3, 4, 5, 64, 40);
    float[][] results = new float[2][];
    for (int order = 0; order < 2; order++) {
      try (Twin twin = new Twin(DType.BFLOAT16, order == 1)) {
        Pair x = twin.activations(c.inputs());
        Pair weight = twin.parameters(c.weights());
        Pair y = twin.room(c.outputs());
        tensor(twin).forward(x.device(), weight.device(), NOTHING, y.device(), c.grid, c.shape);
        results[order] = twin.device().download(y.device());
      }
    }
    assertThat(results[1]).containsExactly(results[0]);
  }

  @Test
  void unalignedActivationsAreRefused() {
    Case c = of(1, 1, 1, 1, 8, 8);
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair x = twin.unaligned(c.inputs());
      Pair weight = twin.parameters(c.weights());
      Pair y = twin.room(c.outputs());
      assertThatThrownBy(() ->
              tensor(twin)
                  .forward(x.device(), weight.device(), NOTHING, y.device(), c.grid, c.shape))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("expected a multiple of 16");
    }
  }

  @Test
  void onlyWhatTheKernelsComputeIsOffered() {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      TensorConvolutions tensor = tensor(twin);
      Convolution shape = Convolution.same3(16, 24);
      assertThat(refusal(tensor, Direction.FORWARD, DType.BFLOAT16, shape)).isNull();
      assertThat(refusal(tensor, Direction.BACKWARD_DATA, DType.BFLOAT16, shape)).isNull();
      assertThat(refusal(tensor, Direction.BACKWARD_WEIGHTS, DType.BFLOAT16, shape))
          .isEqualTo("gradients of weights are not computed");
      assertThat(refusal(tensor, Direction.FORWARD, DType.FLOAT32, shape))
          .isEqualTo("is of type FLOAT32");
      assertThat(refusal(tensor, Direction.FORWARD, DType.BFLOAT16, Convolution.same3(16, 14)))
          .isEqualTo("16 to 14 channels are no multiples of 8");
      assertThat(refusal(tensor, Direction.FORWARD, DType.BFLOAT16, Convolution.pointwise(16, 16)))
          .isEqualTo("is not 3x3x3 with stride 1 and padding 1");
    }
  }

  private static @Nullable String refusal(
      TensorConvolutions tensor, Direction direction, DType dtype, Convolution shape) {
    Grid grid = new Grid(1, Extents.cube(4));
    return tensor.refusal(new ConvolutionWork(direction, dtype, Precision.FLOAT32, grid, shape));
  }
}
