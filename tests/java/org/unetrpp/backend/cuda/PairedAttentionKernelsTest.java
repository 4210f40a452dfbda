package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.Pullback;
import org.unetrpp.backend.cuda.AttentionValues.Shape;
import org.unetrpp.backend.cuda.AttentionValues.Style;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Paired attention on an emulated device against the reference backend's, box by box. */
class PairedAttentionKernelsTest {
  /**
   * A result's distance from the truth over its length. Dozens of roundings of 3e-8 each, averaged
   * over independent elements.
   */
  private static final double TOLERANCE = 2e-6;

  /** As the result's, where sums cancel besides: those of softmax, norms and normalization. */
  private static final double GRADIENT_TOLERANCE = 4e-6;

  /** Rounding x and y to bfloat16 costs 2^-9 at most; everything between is in float. */
  private static final double TOLERANCE_BF16 = 4e-3;

  private static final Dropout CHANNEL_MAPS =
      new Dropout(0.25, 0x1234_5678_9ABCL, 3, (7L << 32) + 9);
  private static final Dropout SPATIAL_MAPS =
      new Dropout(0.4, 0x1234_5678_9ABCL, 4, (7L << 32) + 9);

  private static ReferenceBackend reference;
  private static CudaBackend float32;
  private static CudaBackend bfloat16;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  static void open() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    reference = new ReferenceBackend();
    float32 = EmulatedCuda.open(DType.FLOAT32);
    bfloat16 = EmulatedCuda.open(DType.BFLOAT16);
  }

  @AfterAll
  static void close() {
    for (Backend backend : new Backend[] {reference, float32, bfloat16}) {
      if (backend != null) {
        backend.close();
      }
    }
  }

  private static double[] evaluated(Backend backend, Shape shape) {
    double[] values;
    try (var _ = backend.scopes().open()) {
      AttentionValues leaves = new AttentionValues(backend);
      Buffer x = leaves.activations(shape.elements());
      PairedAttentionParameters parameters = leaves.attention(shape);
      Buffer y = backend.scopes().allocate(backend.computeType(), shape.elements());
      backend.boxes().pairedAttention(x, parameters, y, shape.batch());
      values = backend.downloadDouble(y);
    }
    assertThat(backend.allocator().bytesInUse()).isZero();
    return values;
  }

  private static void requireClose(
      String what, double[] actual, double[] expected, double tolerance) {
    assertThat(actual).hasSameSizeAs(expected);
    assertThat(distance(actual, expected) / length(expected)).as(what).isLessThan(tolerance);
  }

  private static double distance(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return Math.sqrt(sum);
  }

  private static double length(double[] a) {
    return distance(a, new double[a.length]);
  }

  @ParameterizedTest(name = "C={0}, h={1}, N={2}, P={3}, {4}, batch {5}")
  @CsvSource({
    "32, 4, 256, 64, SHARED_PROJECTION, 2",
    "32, 4, 301, 64, TWO_PROJECTIONS, 1",
    "32, 4, 77, 64, TOKEN_MAJOR_SUM, 2",
    "64, 4, 128, 64, SHARED_PROJECTION, 1",
    "64, 2, 65, 16, TWO_PROJECTIONS, 2",
    "128, 4, 50, 64, TWO_PROJECTIONS, 1",
    "256, 4, 64, 32, SHARED_PROJECTION, 1",
    "256, 4, 25, 32, TOKEN_MAJOR_SUM, 1",
    "512, 1, 9, 128, SHARED_PROJECTION, 1",
    "8, 2, 40, 3, SHARED_PROJECTION, 2",
    "16, 4, 112, 9, TWO_PROJECTIONS, 1",
    "12, 2, 199, 7, TWO_PROJECTIONS, 3",
    "12, 3, 31, 5, TOKEN_MAJOR_SUM, 2",
    "12, 4, 3, 100, SHARED_PROJECTION, 1",
    "8, 1, 1, 3, SHARED_PROJECTION, 1",
    "4, 4, 70, 1, TWO_PROJECTIONS, 1",
    "1, 1, 40, 33, TOKEN_MAJOR_SUM, 1"
  })
  void evaluationAgreesWithTheReference(
      int channels, int heads, int tokens, int projected, Style style, int batch) {
    Shape shape = new Shape(channels, heads, tokens, projected, style, batch);
    double[] expected = evaluated(reference, shape);
    double[] actual = evaluated(float32, shape);
    requireClose("float32", actual, expected, TOLERANCE);
    assertThat(evaluated(float32, shape)).as("again").isEqualTo(actual);
    requireClose("bfloat16", evaluated(bfloat16, shape), expected, TOLERANCE_BF16);
  }

  /** The output in training mode, then the gradients of input and parameters. */
  private static Map<String, double[]> trained(Backend backend, Shape shape, boolean dropout) {
    return trained(backend, shape, dropout, true);
  }

  private static Map<String, double[]> trained(
      Backend backend, Shape shape, boolean dropout, boolean wantsInput) {
    Map<String, double[]> results = new LinkedHashMap<>();
    try (var _ = backend.scopes().open()) {
      AttentionValues leaves = new AttentionValues(backend);
      Buffer x = leaves.activations(shape.elements());
      Buffer dy = leaves.activations(shape.elements());
      PairedAttentionParameters parameters = leaves.attention(shape);
      Buffer y = backend.scopes().allocate(backend.computeType(), shape.elements());
      Pullback<PairedAttentionParameters> pullback =
          backend
              .trainingBoxes()
              .pairedAttention(
                  x,
                  parameters,
                  dropout ? CHANNEL_MAPS : Dropout.NONE,
                  dropout ? SPATIAL_MAPS : Dropout.NONE,
                  y,
                  shape.batch());
      results.put("y", backend.downloadDouble(y));
      // gradients are added to what is there
      PairedAttentionParameters gradients = leaves.attention(shape);
      Map<String, Buffer> named = named(gradients);
      Map<String, double[]> before = new LinkedHashMap<>();
      named.forEach((name, buffer) -> before.put(name, backend.downloadDouble(buffer)));
      Buffer dx =
          wantsInput ? backend.scopes().allocate(backend.computeType(), shape.elements()) : null;
      pullback.apply(dy, gradients, dx);
      if (dx != null) {
        results.put("dx", backend.downloadDouble(dx));
      }
      named.forEach((name, buffer) -> {
        double[] values = backend.downloadDouble(buffer);
        double[] start = Objects.requireNonNull(before.get(name));
        for (int i = 0; i < values.length; i++) {
          values[i] -= start[i];
        }
        results.put(name, values);
      });
    }
    assertThat(backend.allocator().bytesInUse()).isZero();
    return results;
  }

  private static Map<String, Buffer> named(PairedAttentionParameters p) {
    Map<String, Buffer> buffers = new LinkedHashMap<>();
    buffers.put("positions", p.positions());
    buffers.put("normGamma", p.normGamma());
    buffers.put("normBeta", p.normBeta());
    buffers.put("gamma", p.gamma());
    buffers.put("temperature", p.temperature());
    buffers.put("temperature2", p.temperature2());
    long square = (long) p.channels() * p.channels();
    String[] slices = {"queries", "keys", "channel values", "spatial values"};
    for (int i = 0; i < slices.length; i++) {
      buffers.put("weight of " + slices[i], p.qkvv().slice(i * square, square));
    }
    for (Projection projection : List.of(p.keys(), p.values())) {
      buffers.put(projection.name(), projection.weight());
      if (projection.bias() != null) {
        buffers.put(projection.name() + " bias", projection.bias());
      }
    }
    if (p.fusion() != null) {
      buffers.put("out_proj", p.fusion().spatialWeight());
      buffers.put("out_proj bias", p.fusion().spatialBias());
      buffers.put("out_proj2", p.fusion().channelWeight());
      buffers.put("out_proj2 bias", p.fusion().channelBias());
    }
    return buffers;
  }

  @ParameterizedTest(name = "C={0}, h={1}, N={2}, P={3}, {4}, batch {5}, dropout {6}")
  @CsvSource({
    "32, 4, 256, 64, SHARED_PROJECTION, 2, true",
    "32, 4, 101, 64, TWO_PROJECTIONS, 1, true",
    "32, 4, 77, 64, TOKEN_MAJOR_SUM, 2, true",
    "64, 4, 65, 16, TWO_PROJECTIONS, 2, false",
    "128, 4, 50, 64, SHARED_PROJECTION, 1, true",
    "256, 4, 25, 32, SHARED_PROJECTION, 1, true",
    "16, 4, 112, 9, TWO_PROJECTIONS, 1, true",
    "12, 2, 199, 7, TWO_PROJECTIONS, 3, true",
    "12, 3, 31, 5, TOKEN_MAJOR_SUM, 2, false",
    "12, 4, 3, 100, SHARED_PROJECTION, 2, true",
    "8, 1, 20, 3, SHARED_PROJECTION, 1, false",
    "4, 4, 70, 1, TWO_PROJECTIONS, 1, true"
  })
  void gradientsAgreeWithTheReference(
      int channels, int heads, int tokens, int projected, Style style, int batch, boolean dropout) {
    Shape shape = new Shape(channels, heads, tokens, projected, style, batch);
    Map<String, double[]> expected = trained(reference, shape, dropout);
    Map<String, double[]> actual = trained(float32, shape, dropout);
    Map<String, double[]> again = trained(float32, shape, dropout);
    Map<String, double[]> rounded = trained(bfloat16, shape, dropout);
    SoftAssertions.assertSoftly(softly ->
        expected.forEach((name, values) -> {
          // a map of one value has a gradient of exactly zero
          double length = Math.max(length(values), Double.MIN_NORMAL);
          double error = distance(Objects.requireNonNull(actual.get(name)), values);
          double roundedError = distance(Objects.requireNonNull(rounded.get(name)), values);
          softly.assertThat(error / length).as(name).isLessThan(GRADIENT_TOLERANCE);
          softly.assertThat(roundedError / length).as(name + " bf16").isLessThan(TOLERANCE_BF16);
          softly.assertThat(again.get(name)).as(name + " again").isEqualTo(actual.get(name));
        }));
  }

  @Test
  void parametersHaveTheSameGradientsWhereNobodyWantsThatOfTheInput() {
    Shape shape = new Shape(12, 2, 50, 7, Style.TWO_PROJECTIONS, 2);
    Map<String, double[]> expected = trained(float32, shape, true, true);
    expected.remove("dx");
    Map<String, double[]> actual = trained(float32, shape, true, false);
    assertThat(actual).hasSameSizeAs(expected);
    expected.forEach((name, values) -> assertThat(actual.get(name)).as(name).isEqualTo(values));
  }

  @Test
  void attentionBeyondTheKernelsSizesIsComposed() {
    Shape shape = new Shape(8, 2, 40, 129, Style.TWO_PROJECTIONS, 1);
    requireClose("y", evaluated(float32, shape), evaluated(reference, shape), TOLERANCE);
  }
}
