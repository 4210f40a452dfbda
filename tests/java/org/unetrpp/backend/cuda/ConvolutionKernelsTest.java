package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** The kernels of convolutions on an emulated device, against the reference. */
class ConvolutionKernelsTest {
  private static final double EPSILON = 1e-5;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  record Case(Grid grid, Convolution shape, boolean shifted) {
    @Override
    public String toString() {
      return "%d x %s of %d to %d channels, kernel %s, stride %s, padding %s%s"
          .formatted(
              grid.batch(),
              grid.extents(),
              shape.inChannels(),
              shape.outChannels(),
              shape.kernel(),
              shape.stride(),
              shape.padding(),
              shifted ? ", shifted" : "");
    }

    long weights() {
      return shape.kernel().voxels() * shape.inChannels() * shape.outChannels();
    }

    long inputs() {
      return grid.rows() * shape.inChannels();
    }

    long outputs() {
      return grid.batch() * shape.output(grid.extents()).voxels() * shape.outChannels();
    }

    /** Room for activations, one element behind an aligned address where that is asked for. */
    Pair room(Twin twin, long count) {
      return shifted ? twin.room(count + 2).slice(1, count) : twin.room(count);
    }

    Pair activations(Twin twin, long count) {
      return shifted ? twin.unaligned(count) : twin.activations(count);
    }
  }

  private static Case same(int batch, int d, int h, int w, int in, int out) {
    return of(batch, d, h, w, Convolution.same3(in, out));
  }

  private static Case of(int batch, int d, int h, int w, Convolution shape) {
    return new Case(new Grid(batch, new Extents(d, h, w)), shape, false);
  }

  private static Case shifted(Case aligned) {
    return new Case(aligned.grid, aligned.shape, true);
  }

  private static Extents extents(int d, int h, int w) {
    return new Extents(d, h, w);
  }

  /** The emulated device has 4 multiprocessors; fewer blocks share their sums. */
  static Stream<Arguments> cases() {
    Extents two = Extents.cube(2);
    List<Case> cases =
        List.of(
            // tiles of 4x8x8 voxels, that fill, underfill and overrun; of one split and of two
            same(1, 8, 16, 16, 16, 16),
            same(1, 8, 16, 8, 20, 16),
            same(2, 5, 9, 17, 1, 16),
            same(1, 9, 10, 11, 4, 5),
            shifted(same(1, 7, 9, 18, 12, 12)),
            // tiles of 4x4x4 voxels
            same(1, 4, 4, 4, 40, 36),
            same(2, 3, 5, 4, 18, 33),
            same(1, 1, 1, 1, 7, 2),
            same(1, 2, 3, 1, 3, 130),
            same(1, 2, 2, 2, 512, 65),
            shifted(same(1, 4, 3, 6, 16, 8)),
            // no kernels that overlap
            of(1, 4, 8, 12, Convolution.patches(1, 32, extents(2, 4, 4))),
            of(2, 4, 4, 4, Convolution.patches(32, 64, two)),
            of(1, 2, 2, 2, Convolution.patches(256, 40, two)),
            of(1, 5, 6, 7, Convolution.patches(3, 5, extents(2, 3, 2))),
            shifted(of(1, 6, 4, 10, Convolution.patches(8, 12, two))),
            of(1, 5, 7, 9, Convolution.pointwise(20, 40)),
            of(2, 16, 9, 9, Convolution.pointwise(1, 16)),
            of(1, 2, 2, 2, Convolution.pointwise(257, 14)),
            shifted(of(1, 3, 5, 7, Convolution.pointwise(16, 4))),
            // anything else
            of(1, 7, 6, 5, strided(6, 7, extents(3, 3, 3), two, Extents.cube(1))),
            of(2, 4, 7, 8, strided(5, 18, extents(1, 3, 5), Extents.cube(1), extents(0, 1, 2))),
            of(1, 6, 5, 9, strided(3, 2, extents(3, 2, 1), extents(2, 1, 3), extents(2, 0, 1))),
            of(1, 3, 4, 5, strided(4, 4, Extents.cube(1), Extents.cube(1), Extents.cube(1))),
            of(1, 6, 6, 6, strided(17, 20, two, Extents.cube(3), Extents.cube(0))),
            of(1, 4, 4, 4, strided(9, 3, Extents.cube(5), Extents.cube(1), two)));
    return Stream.of(DType.FLOAT32, DType.BFLOAT16)
        .flatMap(type -> cases.stream().map(c -> Arguments.of(type, c)));
  }

  private static Convolution strided(
      int in, int out, Extents kernel, Extents stride, Extents padding) {
    return new Convolution(in, out, kernel, stride, padding);
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("cases")
  void forwardEqualsReference(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair x = c.activations(twin, c.inputs());
      Pair weight = twin.parameters(c.weights());
      Pair bias = twin.parameters(c.shape.outChannels());
      Pair y = c.room(twin, c.outputs());
      Pair withBias = c.room(twin, c.outputs());
      for (boolean biased : new boolean[] {false, true}) {
        Pair result = biased ? withBias : y;
        twin.device()
            .convolution(
                x.device(),
                weight.device(),
                biased ? bias.device() : null,
                result.device(),
                c.grid,
                c.shape);
        twin.reference()
            .convolution(
                x.reference(),
                weight.reference(),
                biased ? bias.reference() : null,
                result.reference(),
                c.grid,
                c.shape);
      }
      twin.assertSame(y);
      twin.assertSame(withBias);
    }
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("cases")
  void whatFollowsIsPartOfTheConvolution(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair x = c.activations(twin, c.inputs());
      Pair weight = twin.parameters(c.weights());
      Pair bias = twin.parameters(c.shape.outChannels());
      Pair addend = c.activations(twin, c.outputs());
      Pair activated = c.room(twin, c.outputs());
      Pair added = c.room(twin, c.outputs());
      Convolutions own = twin.device().convolutions();
      Epilogue leaky = new Epilogue(bias.device(), null, 0.01);
      own.forward(x.device(), weight.device(), leaky, activated.device(), c.grid, c.shape);
      Epilogue all = new Epilogue(bias.device(), addend.device(), 0.25);
      own.forward(x.device(), weight.device(), all, added.device(), c.grid, c.shape);

      Buffer y = added.reference();
      twin.reference()
          .convolution(x.reference(), weight.reference(), bias.reference(), y, c.grid, c.shape);
      twin.reference().leakyRelu(y, activated.reference(), 0.01);
      twin.reference().add(y, addend.reference(), y);
      twin.reference().leakyRelu(y, y, 0.25);
      twin.assertSame(activated, added);
    }
  }

  /** Those of 3x3x3 taps; one voxel would deviate from its mean by nothing. */
  static Stream<Arguments> casesWithPrologue() {
    return cases()
        .filter(arguments -> {
          Case c = (Case) arguments.get()[1];
          Convolution same = Convolution.same3(c.shape.inChannels(), c.shape.outChannels());
          return c.shape.equals(same) && c.grid.tokens() > 1;
        });
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("casesWithPrologue")
  void whatIsReadIsNormalizedOnTheWay(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      Convolutions own = twin.device().convolutions();
      Pair x = c.activations(twin, c.inputs());
      Pair y = c.room(twin, c.outputs());
      assertThat(own.takesPrologue(x.device(), y.device(), c.grid, c.shape)).isTrue();
      int in = c.shape.inChannels();
      GroupNormKernels norm = twin.device().groupNorm();
      Pair weight = twin.parameters(c.weights());
      Pair scale = twin.positive(in);
      GroupStatistics read =
          new GroupStatistics(norm.coefficients(c.grid.batch(), in), scale.device(), in, EPSILON);
      norm.measure(x.device(), read, c.grid, in);
      int out = c.shape.outChannels();
      GroupStatistics written =
          new GroupStatistics(norm.coefficients(c.grid.batch(), out), null, out, EPSILON);
      own.forward(
          x.device(),
          new Prologue(read.coefficients(), 0.25),
          weight.device(),
          written,
          y.device(),
          c.grid,
          c.shape);

      Buffer z = twin.room(DType.FLOAT32, c.inputs()).reference();
      twin.reference()
          .groupNorm(x.reference(), scale.reference(), null, z, c.grid, in, in, EPSILON);
      twin.reference().leakyRelu(z, z, 0.25);
      twin.reference().convolution(z, weight.reference(), null, y.reference(), c.grid, c.shape);
      // normalizing rounds to 2^-24 of the largest value, which a value near the mean is far below
      twin.assertSame(type == DType.FLOAT32 ? 4e-6 : Twin.BFLOAT16_TOLERANCE, y);
    }
  }

  /** Two channels to a group of the normalization, where they come in pairs; else all. */
  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("cases")
  void statisticsAreThoseOfTheValuesThatAreStored(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      int channels = c.shape.outChannels();
      int groups = channels % 2 == 0 ? channels / 2 : 1;
      Pair x = c.activations(twin, c.inputs());
      Pair weight = twin.parameters(c.weights());
      Pair gamma = twin.parameters(channels);
      Pair y = c.room(twin, c.outputs());
      Pair normalized = c.room(twin, c.outputs());
      GroupNormKernels norm = twin.device().groupNorm();
      Buffer coefficients = norm.coefficients(c.grid.batch(), channels);
      GroupStatistics statistics =
          new GroupStatistics(coefficients, gamma.device(), groups, EPSILON);
      Grid outputs = new Grid(c.grid.batch(), c.shape.output(c.grid.extents()));
      boolean taken =
          twin.device()
              .convolutions()
              .forward(x.device(), null, weight.device(), statistics, y.device(), c.grid, c.shape);
      if (!taken) {
        assertThat(c.grid.batch()).isGreaterThan(1);
        norm.measure(y.device(), statistics, outputs, channels);
      }
      norm.apply(
          y.device(), coefficients, null, null, null, 1, normalized.device(), outputs, channels);
      twin.reference()
          .convolution(x.reference(), weight.reference(), null, y.reference(), c.grid, c.shape);
      twin.assertSame(y);
      twin.reference().upload(twin.device().download(y.device()), y.reference());
      twin.reference()
          .groupNorm(
              y.reference(),
              gamma.reference(),
              null,
              normalized.reference(),
              outputs,
              channels,
              groups,
              EPSILON);
      twin.assertSame(normalized);
    }
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("cases")
  void backwardDataEqualsReference(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair dy = c.activations(twin, c.outputs());
      Pair weight = twin.parameters(c.weights());
      Pair dx = c.room(twin, c.inputs());
      twin.device()
          .training()
          .convolutionBackwardData(dy.device(), weight.device(), dx.device(), c.grid, c.shape);
      twin.reference()
          .training()
          .convolutionBackwardData(
              dy.reference(), weight.reference(), dx.reference(), c.grid, c.shape);
      twin.assertSame(dx);
    }
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("cases")
  void backwardWeightsAddsWhatReferenceAdds(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair x = c.activations(twin, c.inputs());
      Pair dy = c.activations(twin, c.outputs());
      Pair dweight = twin.parameters(c.weights());
      Pair withBias = twin.parameters(c.weights());
      Pair dbias = twin.parameters(c.shape.outChannels());
      for (boolean biased : new boolean[] {false, true}) {
        Pair result = biased ? withBias : dweight;
        twin.device()
            .training()
            .convolutionBackwardWeights(
                x.device(),
                dy.device(),
                result.device(),
                biased ? dbias.device() : null,
                c.grid,
                c.shape);
        twin.reference()
            .training()
            .convolutionBackwardWeights(
                x.reference(),
                dy.reference(),
                result.reference(),
                biased ? dbias.reference() : null,
                c.grid,
                c.shape);
      }
      twin.assertSame(dweight);
      twin.assertSame(withBias);
      twin.assertSame(dbias);
    }
  }

  static Stream<Arguments> transposedCases() {
    List<Case> cases =
        List.of(
            of(2, 4, 4, 4, Convolution.patches(32, 16, Extents.cube(2))),
            of(1, 8, 8, 8, Convolution.patches(32, 16, extents(2, 4, 4))),
            of(1, 2, 2, 2, Convolution.patches(256, 65, Extents.cube(2))),
            of(1, 3, 5, 7, Convolution.patches(7, 3, extents(1, 2, 3))),
            of(1, 1, 1, 1, Convolution.patches(1, 1, Extents.cube(2))),
            of(1, 3, 3, 5, Convolution.patches(18, 20, extents(1, 1, 2))),
            of(2, 1, 2, 2, Convolution.patches(5, 66, Extents.cube(1))),
            shifted(of(1, 9, 5, 3, Convolution.patches(20, 12, extents(3, 1, 2)))));
    return Stream.of(DType.FLOAT32, DType.BFLOAT16)
        .flatMap(type -> cases.stream().map(c -> Arguments.of(type, c)));
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("transposedCases")
  void transposedForwardEqualsReference(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair x = c.activations(twin, c.inputs());
      Pair weight = twin.parameters(c.weights());
      long outputs = c.grid.times(c.shape.stride()).rows() * c.shape.outChannels();
      Pair y = c.room(twin, outputs);
      Pair sum = c.room(twin, outputs);
      Pair skip = c.activations(twin, outputs);
      TransposedConvolutionKernels kernels =
          new TransposedConvolutionKernels(twin.device().context());
      kernels.forward(x.device(), weight.device(), null, y.device(), c.grid, c.shape);
      kernels.forward(x.device(), weight.device(), skip.device(), sum.device(), c.grid, c.shape);
      twin.reference()
          .transposedConvolution(x.reference(), weight.reference(), y.reference(), c.grid, c.shape);
      twin.reference().add(y.reference(), skip.reference(), sum.reference());
      twin.assertSame(y);
      twin.assertSame(sum);

      kernels.forward(x.device(), weight.device(), skip.device(), skip.device(), c.grid, c.shape);
      twin.assertSame(new Pair(skip.device(), sum.reference()));
    }
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("transposedCases")
  void transposedBackwardEqualsReference(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair x = c.activations(twin, c.inputs());
      long outputs = c.grid.times(c.shape.stride()).rows() * c.shape.outChannels();
      Pair dy = c.activations(twin, outputs);
      Pair weight = twin.parameters(c.weights());
      Pair dx = c.room(twin, c.inputs());
      Pair dweight = twin.parameters(c.weights());
      var device = twin.device().training();
      device.transposedConvolutionBackwardData(
          dy.device(), weight.device(), dx.device(), c.grid, c.shape);
      device.transposedConvolutionBackwardWeights(
          x.device(), dy.device(), dweight.device(), c.grid, c.shape);
      var exact = twin.reference().training();
      exact.transposedConvolutionBackwardData(
          dy.reference(), weight.reference(), dx.reference(), c.grid, c.shape);
      exact.transposedConvolutionBackwardWeights(
          x.reference(), dy.reference(), dweight.reference(), c.grid, c.shape);
      twin.assertSame(dx);
      twin.assertSame(dweight);
    }
  }

  @ParameterizedTest(name = "{0}")
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void threeTapsOfOneChannelAreThoseByHand(DType type) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.pair(new float[] {1, 2, 4});
      float[] taps = new float[27];
      taps[12] = 32; // depth and height in the middle; what lies one before
      taps[13] = 8;
      taps[14] = 1;
      Pair weight = twin.pair(DType.FLOAT32, taps);
      Pair y = twin.room(3);
      Grid line = new Grid(1, new Extents(1, 1, 3));
      Convolution shape = Convolution.same3(1, 1);
      twin.device().convolution(x.device(), weight.device(), null, y.device(), line, shape);
      assertThat(twin.device().download(y.device())).containsExactly(10, 52, 96);
      twin.device()
          .training()
          .convolutionBackwardData(x.device(), weight.device(), y.device(), line, shape);
      assertThat(twin.device().download(y.device())).containsExactly(72, 145, 34);
    }
  }

  @Test
  void weightsThatChangeArePackedAgain() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair x = twin.pair(new float[] {2, 3});
      Pair weight = twin.pair(DType.FLOAT32, new float[] {5, 7});
      Pair y = twin.room(1);
      Grid voxel = new Grid(1, Extents.cube(1));
      Convolution shape = Convolution.pointwise(2, 1);
      twin.device().convolution(x.device(), weight.device(), null, y.device(), voxel, shape);
      assertThat(twin.device().download(y.device())).containsExactly(31);
      twin.device().upload(new float[] {1, 1}, weight.device());
      twin.device().convolution(x.device(), weight.device(), null, y.device(), voxel, shape);
      assertThat(twin.device().download(y.device())).containsExactly(5);
    }
  }

  /** One buffer of weights may serve both directions, in different orders. */
  @Test
  void packsOfOneBufferAreToldApart() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair x = twin.pair(new float[] {2, 3});
      Pair weight = twin.pair(DType.FLOAT32, new float[] {1, 10, 100, 1000});
      Pair y = twin.room(2);
      Pair dx = twin.room(2);
      Grid voxel = new Grid(1, Extents.cube(1));
      Convolution shape = Convolution.pointwise(2, 2);
      twin.device().convolution(x.device(), weight.device(), null, y.device(), voxel, shape);
      twin.device()
          .training()
          .convolutionBackwardData(x.device(), weight.device(), dx.device(), voxel, shape);
      assertThat(twin.device().download(y.device())).containsExactly(32, 3200);
      assertThat(twin.device().download(dx.device())).containsExactly(302, 3020);
    }
  }

  @Test
  void splitsCoverAllStepsAndStayWithinTheirLimit() {
    for (int sums : new int[] {1, 3, 16, 700}) {
      for (int steps : new int[] {1, 2, 7, 64, 1000}) {
        for (long most : new long[] {0, 1, 5, 1 << 20}) {
          Splits splits = Splits.of(sums, steps, 264, most);
          assertThat((long) splits.count() * splits.steps()).isGreaterThanOrEqualTo(steps);
          assertThat((long) (splits.count() - 1) * splits.steps()).isLessThan(steps);
          assertThat((long) splits.count()).isLessThanOrEqualTo(Math.max(1, most));
          assertThat((long) splits.count() * sums).isLessThanOrEqualTo(Math.max(264, sums));
        }
      }
    }
    assertThat(Splits.of(1, 1000, 264, 1 << 20)).isEqualTo(new Splits(250, 4));
  }

  @Test
  void rerunsGiveTheSameBytes() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Case c = same(1, 6, 12, 18, 16, 16);
      Pair x = twin.activations(c.inputs());
      Pair dy = twin.activations(c.outputs());
      float[][] runs = new float[3][];
      for (int run = 0; run < runs.length; run++) {
        Pair dweight = twin.pair(DType.FLOAT32, new float[Math.toIntExact(c.weights())]);
        twin.device()
            .training()
            .convolutionBackwardWeights(
                x.device(), dy.device(), dweight.device(), null, c.grid, c.shape);
        runs[run] = twin.device().download(dweight.device());
      }
      assertThat(Arrays.asList(runs)).allSatisfy(run -> assertThat(run).containsExactly(runs[0]));
    }
  }
}
