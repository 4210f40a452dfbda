package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** The kernels of the head on an emulated device, against the reference. */
class HeadKernelsTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  record Case(Grid grid, int channels, int classes, boolean shifted) {
    @Override
    public String toString() {
      return "%d x %s of %d channels to %d classes%s"
          .formatted(grid.batch(), grid.extents(), channels, classes, shifted ? ", shifted" : "");
    }

    /** Room for activations, one element behind an aligned address where that is asked for. */
    Pair room(Twin twin, long count) {
      return shifted ? twin.room(count + 2).slice(1, count) : twin.room(count);
    }

    Pair activations(Twin twin, long count) {
      return shifted ? twin.unaligned(count) : twin.activations(count);
    }
  }

  private static final List<Case> CASES =
      List.of(
          of(1, 4, 8, 8, 16, 14),
          of(2, 3, 7, 11, 16, 4),
          of(3, 1, 1, 1, 32, 3),
          of(1, 2, 5, 13, 5, 1),
          of(2, 2, 9, 9, 33, 20),
          of(1, 5, 5, 6, 17, 35),
          of(1, 6, 8, 8, 512, 2),
          new Case(new Grid(2, new Extents(3, 5, 9)), 16, 14, true));

  /** Types of features and results, and cases. */
  static Stream<Arguments> cases() {
    return Stream.of(
            List.of(DType.FLOAT32, DType.FLOAT32),
            List.of(DType.BFLOAT16, DType.BFLOAT16),
            List.of(DType.BFLOAT16, DType.FLOAT32))
        .flatMap(types -> CASES.stream().map(c -> Arguments.of(types.get(0), types.get(1), c)));
  }

  /** Types of features, and cases. */
  static Stream<Arguments> casesOfLabels() {
    return Stream.of(DType.FLOAT32, DType.BFLOAT16)
        .flatMap(type -> CASES.stream().map(c -> Arguments.of(type, c)));
  }

  private static Case of(int batch, int d, int h, int w, int channels, int classes) {
    return new Case(new Grid(batch, new Extents(d, h, w)), channels, classes, false);
  }

  private static HeadParameters device(Case c, Pair weight, Pair bias) {
    return new HeadParameters("out1", c.channels, c.classes, weight.device(), bias.device());
  }

  private static HeadParameters exact(Case c, Pair weight, Pair bias) {
    return new HeadParameters("out1", c.channels, c.classes, weight.reference(), bias.reference());
  }

  /** Room for results of a type that need not be that of the features. */
  private static Pair result(Twin twin, DType type, Case c, long count) {
    return type == twin.type() ? c.room(twin, count) : twin.room(type, count);
  }

  @ParameterizedTest(name = "{0} to {1}: {2}")
  @MethodSource("cases")
  void forwardEqualsReference(DType type, DType resultType, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair x = c.activations(twin, c.grid.rows() * c.channels);
      Pair weight = twin.parameters((long) c.classes * c.channels);
      Pair bias = twin.parameters(c.classes);
      for (HeadOutput output : HeadOutput.values()) {
        Pair y = result(twin, resultType, c, c.grid.rows() * c.classes);
        new HeadKernels(twin.device().context())
            .forward(x.device(), device(c, weight, bias), output, y.device(), c.grid);
        twin.reference()
            .boxes()
            .head(x.reference(), exact(c, weight, bias), output, y.reference(), c.grid);
        twin.assertSame(y);
      }
    }
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("casesOfLabels")
  void labelsAreThoseOfTheLargestLogit(DType type, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair x = c.activations(twin, c.grid.rows() * c.channels);
      Pair weight = twin.parameters((long) c.classes * c.channels);
      Pair bias = twin.parameters(c.classes);
      Buffer logits = twin.reference().scopes().allocate(DType.FLOAT64, c.grid.rows() * c.classes);
      twin.reference()
          .boxes()
          .head(x.reference(), exact(c, weight, bias), HeadOutput.LOGITS, logits, c.grid);
      double[] exact = twin.reference().downloadDouble(logits);
      int tokens = c.grid.tokens();
      byte[] expected = new byte[Math.toIntExact(c.grid.rows())];
      for (int i = 0; i < expected.length; i++) {
        int first = i / tokens * c.classes * tokens + i % tokens;
        for (int k = 1; k < c.classes; k++) {
          if (exact[first + k * tokens] > exact[first + expected[i] * tokens]) {
            expected[i] = (byte) k;
          }
        }
      }
      assertThat(labels(twin, x, device(c, weight, bias), c.grid)).containsExactly(expected);
    }
  }

  private static byte[] labels(Twin twin, Pair x, HeadParameters parameters, Grid grid) {
    CudaContext context = twin.device().context();
    long bytes = grid.rows();
    // The driver looks at what lies behind the block when it is freed.
    long address = context.driver().allocate(bytes);
    try (Arena arena = Arena.ofConfined()) {
      new HeadKernels(context).labels(x.device(), parameters, address, grid);
      MemorySegment host = arena.allocate(bytes);
      context.driver().copyToHost(address, host, context.stream());
      twin.device().synchronize();
      return host.toArray(ValueLayout.JAVA_BYTE);
    } finally {
      context.driver().free(address);
    }
  }

  @Test
  void theFirstOfEqualLogitsWins() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      int classes = 40;
      float[] biases = new float[classes];
      Arrays.fill(biases, -4);
      biases[5] = -3;
      biases[21] = -2;
      biases[23] = -2;
      biases[39] = -2;
      Pair x = twin.activations(3);
      HeadParameters parameters =
          new HeadParameters(
              "out1",
              1,
              classes,
              twin.pair(DType.FLOAT32, new float[classes]).device(),
              twin.pair(DType.FLOAT32, biases).device());
      Grid grid = new Grid(1, new Extents(1, 1, 3));
      assertThat(labels(twin, x, parameters, grid)).containsExactly(21, 21, 21);
    }
  }

  @Test
  void probabilitiesOfHugeLogitsAreFinite() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      for (int classes : new int[] {2, 18}) {
        float[] biases = new float[classes];
        biases[0] = -500;
        biases[classes - 1] = 1000;
        Case c = of(1, 1, 1, 1, 1, classes);
        Pair x = twin.activations(1);
        Pair weight = twin.pair(DType.FLOAT32, new float[classes]);
        Pair bias = twin.pair(DType.FLOAT32, biases);
        Pair y = twin.room(classes);
        new HeadKernels(twin.device().context())
            .forward(
                x.device(), device(c, weight, bias), HeadOutput.PROBABILITIES, y.device(), c.grid);
        float[] expected = new float[classes];
        expected[classes - 1] = 1;
        assertThat(twin.device().download(y.device())).containsExactly(expected);
      }
    }
  }

  @Test
  void labelsOfMoreClassesThanAByteTellsAreRefused() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair one = twin.parameters(257);
      HeadParameters parameters = new HeadParameters("out1", 1, 257, one.device(), one.device());
      HeadKernels kernels = new HeadKernels(twin.device().context());
      Grid grid = new Grid(1, Extents.cube(1));
      assertThatThrownBy(() -> kernels.labels(one.device(), parameters, 0, grid))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("out1 has 257 classes, expected at most 256 for labels of a byte");
    }
  }

  @ParameterizedTest(name = "{0} from {1}: {2}")
  @MethodSource("cases")
  void backwardEqualsReference(DType type, DType resultType, Case c) {
    try (Twin twin = new Twin(type)) {
      Pair x = c.activations(twin, c.grid.rows() * c.channels);
      long logits = c.grid.rows() * c.classes;
      Pair dy =
          resultType == type
              ? c.activations(twin, logits)
              : twin.pair(DType.FLOAT32, twin.values(logits, 0, 1));
      Pair weight = twin.parameters((long) c.classes * c.channels);
      Pair bias = twin.parameters(c.classes);
      Pair dx = c.room(twin, x.device().elements());
      Pair dweight = twin.parameters(weight.device().elements());
      Pair dbias = twin.parameters(c.classes);
      HeadKernels kernels = new HeadKernels(twin.device().context());
      kernels.backwardData(dy.device(), device(c, weight, bias), dx.device(), c.grid);
      kernels.backwardWeights(x.device(), dy.device(), device(c, dweight, dbias), c.grid);

      Convolution shape = Convolution.pointwise(c.channels, c.classes);
      Buffer voxelMajor = twin.reference().scopes().allocate(DType.FLOAT64, logits);
      twin.reference().channelsLast(dy.reference(), voxelMajor, c.grid, c.classes);
      var exact = twin.reference().training();
      exact.convolutionBackwardData(voxelMajor, weight.reference(), dx.reference(), c.grid, shape);
      exact.convolutionBackwardWeights(
          x.reference(), voxelMajor, dweight.reference(), dbias.reference(), c.grid, shape);
      twin.assertSame(dx);
      twin.assertSame(dweight);
      twin.assertSame(dbias);
    }
  }
}
