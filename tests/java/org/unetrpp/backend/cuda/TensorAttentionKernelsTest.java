package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.cuda.AttentionValues.Shape;
import org.unetrpp.backend.cuda.AttentionValues.Style;
import org.unetrpp.backend.cuda.TensorAttention.EntryNorm;
import org.unetrpp.backend.cuda.TensorAttention.OutputShape;
import org.unetrpp.backend.cuda.TensorAttention.OutputTiling;
import org.unetrpp.backend.cuda.TensorAttention.Sizes;
import org.unetrpp.backend.cuda.TensorAttention.SumTiling;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Attention on tensor cores, on an emulated device against the reference. */
class TensorAttentionKernelsTest {
  // Each rounding of a factor to bfloat16, and of y, is an error of some 1.5e-3 (see
  // TensorConvolutionKernelsTest). In logits, which have a deviation of one to three here, those of
  // X and M become 3e-3 of the probabilities, and more of their averages, in which values cancel.
  private static final double SPATIAL = 6e-3;
  // X, Wc, X Wc^T, V and y: sqrt(5) times 1.5e-3.
  private static final double CHANNEL = 4e-3;
  // Sums in another order differ by some 1e-6, which moves a value to its neighbor now and then.
  private static final double ORDER = 1e-3;
  private static final float LARGE = 1024; // gamma that leaves nothing of the residual

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  /** How attention is called. */
  private interface Call {
    void run(Buffer x, PairedAttentionParameters p, Buffer y);
  }

  private static double[] called(Backend backend, Shape shape, float gamma, Call call) {
    try (var _ = backend.scopes().open()) {
      AttentionValues values = new AttentionValues(backend);
      Buffer x = values.activations(shape.elements());
      PairedAttentionParameters p = values.attention(shape);
      float[] scale = new float[shape.channels()];
      Arrays.fill(scale, gamma);
      backend.upload(scale, p.gamma());
      Buffer y = backend.scopes().allocate(backend.computeType(), shape.elements());
      call.run(x, p, y);
      return backend.downloadDouble(y);
    }
  }

  private static double[] reference(Shape shape, float gamma) {
    try (ReferenceBackend reference = new ReferenceBackend()) {
      return called(
          reference,
          shape,
          gamma,
          (x, p, y) -> reference.boxes().pairedAttention(x, p, y, shape.batch()));
    }
  }

  /** From primitives, which round each result to bfloat16. */
  private static double[] composed(Shape shape, float gamma) {
    try (CudaBackend device = EmulatedCuda.open(DType.BFLOAT16)) {
      ComposedBoxes boxes = new ComposedBoxes(device);
      return called(
          device, shape, gamma, (x, p, y) -> boxes.pairedAttention(x, p, y, shape.batch()));
    }
  }

  private static double[] onTensorCores(Shape shape, float gamma, boolean backwards) {
    try (CudaBackend device = EmulatedCuda.open(DType.BFLOAT16, backwards)) {
      TensorAttention attention = new TensorAttention(device.context());
      return called(
          device,
          shape,
          gamma,
          (x, p, y) -> {
            assertThat(attention.takes(x, p, y)).isTrue();
            attention.forward(x, null, p, y, shape.batch());
          });
    }
  }

  /** Distance of the columns from first to end over the length of the reference's. */
  private static double error(
      double[] actual, double[] expected, int channels, int first, int end) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      if (i % channels >= first && i % channels < end) {
        difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        norm += expected[i] * expected[i];
      }
    }
    return Math.sqrt(difference / norm);
  }

  @ParameterizedTest(name = "C={0}, h={1}, N={2}, P={3}, {4}, batch {5}")
  @CsvSource({
    // rows of y from chunks of C tokens
    "32, 4, 1024, 64, SHARED_PROJECTION, 1",
    "32, 4, 800, 64, TWO_PROJECTIONS, 2",
    "32, 4, 512, 64, TOKEN_MAJOR_SUM, 1",
    "64, 4, 448, 64, SHARED_PROJECTION, 1",
    "64, 4, 192, 64, TWO_PROJECTIONS, 1",
    "64, 4, 128, 64, TOKEN_MAJOR_SUM, 1",
    "128, 4, 512, 64, SHARED_PROJECTION, 1",
    "128, 4, 384, 64, TOKEN_MAJOR_SUM, 1",
    // C does not divide N
    "128, 4, 400, 64, TWO_PROJECTIONS, 1",
    "256, 4, 64, 32, SHARED_PROJECTION, 2",
    "256, 4, 50, 32, TWO_PROJECTIONS, 1",
    "256, 4, 144, 32, TWO_PROJECTIONS, 1",
    "256, 4, 64, 32, TOKEN_MAJOR_SUM, 1",
    "256, 4, 54, 32, SHARED_PROJECTION, 1",
    // others than the published networks have
    "32, 4, 301, 64, SHARED_PROJECTION, 2",
    "32, 2, 77, 40, TOKEN_MAJOR_SUM, 1",
    "32, 1, 96, 128, SHARED_PROJECTION, 1",
    "64, 8, 65, 9, TWO_PROJECTIONS, 1",
    "64, 1, 64, 100, SHARED_PROJECTION, 1",
    "128, 2, 40, 32, SHARED_PROJECTION, 1",
    "256, 8, 5, 64, TWO_PROJECTIONS, 1"
  })
  void bothHalvesAgreeWithTheReference(
      int channels, int heads, int tokens, int projected, Style style, int batch) {
    Shape shape = new Shape(channels, heads, tokens, projected, style, batch);
    double[] expected = reference(shape, LARGE);
    double[] actual = onTensorCores(shape, LARGE, false);
    int half = channels / 2;
    double[] composed = composed(shape, LARGE);
    assertThat(error(actual, expected, channels, 0, half))
        .as("spatial half")
        .isLessThan(SPATIAL)
        .isLessThan(error(composed, expected, channels, 0, half));
    assertThat(error(actual, expected, channels, half, channels))
        .as("channel half")
        .isLessThan(style == Style.TOKEN_MAJOR_SUM ? SPATIAL : CHANNEL) // of the sum of both
        .isLessThan(error(composed, expected, channels, half, channels));
    assertThat(onTensorCores(shape, LARGE, true)).as("backwards").isEqualTo(actual);
  }

  @ParameterizedTest(name = "C={0}, N={1}, P={2}, {3}")
  @CsvSource({
    "32, 320, 64, TWO_PROJECTIONS",
    "64, 128, 64, TOKEN_MAJOR_SUM",
    "128, 128, 64, SHARED_PROJECTION",
    "128, 100, 64, TWO_PROJECTIONS",
    "256, 64, 32, SHARED_PROJECTION",
    "256, 50, 32, TOKEN_MAJOR_SUM"
  })
  void noItemDependsOnOthers(int channels, int tokens, int projected, Style style) {
    Shape shape = new Shape(channels, 4, tokens, projected, style, 3);
    int elements = tokens * channels;
    try (CudaBackend device = EmulatedCuda.open(DType.BFLOAT16)) {
      TensorAttention attention = new TensorAttention(device.context());
      double[] together =
          called(device, shape, 1, (x, p, y) -> attention.forward(x, null, p, y, 3));
      double[] alone =
          called(
              device,
              shape,
              1,
              (x, p, y) -> {
                for (int item = 0; item < 3; item++) {
                  long first = (long) item * elements;
                  attention.forward(x.slice(first, elements), null, p, y.slice(first, elements), 1);
                }
              });
      assertThat(alone).isEqualTo(together);
    }
  }

  @ParameterizedTest(name = "C={0}, h={1}, N={2}, P={3}, {4}")
  @CsvSource({
    "32, 4, 352, 64, TWO_PROJECTIONS",
    "64, 2, 192, 40, SHARED_PROJECTION",
    "128, 4, 256, 64, TOKEN_MAJOR_SUM",
    "128, 4, 400, 64, TWO_PROJECTIONS",
    "256, 4, 64, 32, SHARED_PROJECTION",
    "256, 4, 144, 32, TWO_PROJECTIONS"
  })
  void everyWayToDivideTheWorkGivesTheSame(
      int channels, int heads, int tokens, int projected, Style style) {
    Shape shape = new Shape(channels, heads, tokens, projected, style, 1);
    try (CudaBackend device = EmulatedCuda.open(DType.BFLOAT16)) {
      TensorAttention attention = new TensorAttention(device.context());
      called(
          device,
          shape,
          1,
          (x, p, y) -> {
            Sizes sizes = Sizes.of(p);
            List<SumTiling> sums = attention.sumTilings(sizes);
            List<OutputTiling> outputs = attention.outputTilings(new OutputShape(sizes, 1));
            attention.forward(x, null, p, y, 1, sums.getFirst(), outputs.getFirst());
            double[] expected = device.downloadDouble(y);
            for (OutputTiling output : outputs) {
              attention.forward(x, null, p, y, 1, sums.getFirst(), output);
              assertThat(device.downloadDouble(y)).as("%s", output).isEqualTo(expected);
            }
            for (SumTiling tiling : sums) {
              attention.forward(x, null, p, y, 1, tiling, outputs.getFirst());
              assertThat(error(device.downloadDouble(y), expected, channels, 0, channels))
                  .as("%s", tiling)
                  .isLessThan(ORDER);
            }
          });
    }
  }

  @ParameterizedTest(name = "{0} channels, {1}, batch {2}")
  @CsvSource({
    "32, SHARED_PROJECTION, 2",
    "64, TWO_PROJECTIONS, 1",
    "128, TOKEN_MAJOR_SUM, 2",
    "256, SHARED_PROJECTION, 1"
  })
  void normalizationAtTheEntryIsThatOfAPassBefore(int channels, Style style, int batch) {
    Extents extents = new Extents(4, 8, 4);
    Grid grid = new Grid(batch, extents);
    Shape shape = new Shape(channels, 4, Math.toIntExact(extents.voxels()), 32, style, batch);
    try (CudaBackend device = EmulatedCuda.open(DType.BFLOAT16)) {
      TensorAttention attention = new TensorAttention(device.context());
      GroupNormKernels norm = device.groupNorm();
      double[][] results = new double[2][];
      for (int fused = 0; fused < 2; fused++) {
        boolean isFused = fused == 1;
        results[fused] =
            called(
                device,
                shape,
                1,
                (x, p, y) -> {
                  AttentionValues values = new AttentionValues(device);
                  Buffer coefficients = norm.coefficients(batch, channels);
                  Buffer scale = values.parameters(channels, 1, 0.3);
                  Buffer shift = values.parameters(channels, 0, 0.5);
                  norm.measure(
                      x, new GroupStatistics(coefficients, scale, 8, 1e-5), grid, channels);
                  if (isFused) {
                    attention.forward(x, new EntryNorm(coefficients, shift), p, y, batch);
                  } else {
                    norm.apply(x, coefficients, shift, null, null, 1, x, grid, channels);
                    attention.forward(x, null, p, y, batch);
                  }
                });
      }
      assertThat(results[1]).isEqualTo(results[0]);
    }
  }

  @Test
  void whatTheKernelsDoNotComputeIsRefused() {
    try (CudaBackend device = EmulatedCuda.open(DType.BFLOAT16)) {
      assertThat(takes(device, 32, 4, 40, 64, 0)).isTrue();
      assertThat(takes(device, 32, 4, 40, 129, 0)).as("P").isFalse();
      assertThat(takes(device, 48, 4, 40, 64, 0)).as("C").isFalse();
      assertThat(takes(device, 32, 8, 40, 64, 0)).as("d").isFalse();
      assertThat(takes(device, 128, 1, 40, 32, 0)).as("large d").isFalse();
      assertThat(takes(device, 256, 4, 250, 32, 0)).as("shared memory").isFalse();
      assertThat(takes(device, 32, 4, 40, 64, 1)).as("alignment").isFalse();
    }
    try (CudaBackend device = EmulatedCuda.open(DType.FLOAT32)) {
      assertThat(takes(device, 32, 4, 40, 64, 0)).as("type").isFalse();
    }
  }

  private static boolean takes(
      CudaBackend device, int channels, int heads, int tokens, int projected, int offset) {
    Shape shape = new Shape(channels, heads, tokens, projected, Style.SHARED_PROJECTION, 1);
    try (var _ = device.scopes().open()) {
      AttentionValues values = new AttentionValues(device);
      Buffer x = values.activations(shape.elements() + offset).slice(offset, shape.elements());
      return new TensorAttention(device.context()).takes(x, values.attention(shape), x);
    }
  }
}
