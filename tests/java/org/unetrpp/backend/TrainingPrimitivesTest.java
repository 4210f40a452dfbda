package org.unetrpp.backend;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.errorprone.annotations.Immutable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** The primitives of training on the processor against the reference, through their interface. */
class TrainingPrimitivesTest {
  /** Roundings of float32, 6e-8 each, in sums of some thousand terms. */
  private static final double TOLERANCE = 2e-5;

  private static CpuBackend processor;
  private static ReferenceBackend reference;

  @BeforeAll
  static void open() {
    processor = CpuBackend.composed(3);
    reference = new ReferenceBackend();
  }

  @AfterAll
  static void close() {
    processor.close();
    reference.close();
  }

  /** The same values on any backend, and what a primitive made of them. */
  private static final class Values {
    private final Backend backend;
    private final Random random = new Random(17);
    private final List<double[]> results = new ArrayList<>();

    Values(Backend backend) {
      this.backend = backend;
    }

    private Buffer upload(float[] values) {
      Buffer buffer = backend.scopes().allocate(backend.computeType(), values.length);
      backend.upload(values, buffer);
      return buffer;
    }

    Buffer random(long count) {
      float[] values = new float[Math.toIntExact(count)];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      return upload(values);
    }

    Buffer positive(long count) {
      float[] values = new float[Math.toIntExact(count)];
      for (int i = 0; i < values.length; i++) {
        values[i] = 0.5f + random.nextFloat();
      }
      return upload(values);
    }

    Buffer classes(long count, int classes) {
      float[] values = new float[Math.toIntExact(count)];
      for (int i = 0; i < values.length; i++) {
        values[i] = random.nextInt(classes);
      }
      return upload(values);
    }

    /** What is not overwritten shows. */
    Buffer poisoned(long count) {
      float[] values = new float[Math.toIntExact(count)];
      Arrays.fill(values, Float.NaN);
      return upload(values);
    }

    void result(Buffer... buffers) {
      for (Buffer buffer : buffers) {
        results.add(backend.downloadDouble(buffer));
      }
    }

    void result(double... values) {
      results.add(values);
    }
  }

  @Immutable
  private interface Body {
    void run(TrainingPrimitives training, Values values);
  }

  private static void convolution(TrainingPrimitives training, Values v, Grid grid, Convolution s) {
    long outputs = grid.batch() * s.output(grid.extents()).voxels();
    long weights = s.kernel().voxels() * s.inChannels() * s.outChannels();
    Buffer x = v.random(grid.rows() * s.inChannels());
    Buffer dy = v.random(outputs * s.outChannels());
    Buffer dx = v.poisoned(x.elements());
    Buffer dweight = v.random(weights);
    Buffer dbias = v.random(s.outChannels());
    training.convolutionBackwardData(dy, v.random(weights), dx, grid, s);
    training.convolutionBackwardWeights(x, dy, dweight, dbias, grid, s);
    v.result(dx, dweight, dbias);
  }

  private static void transposed(TrainingPrimitives training, Values v, Grid grid, Convolution s) {
    long weights = s.kernel().voxels() * s.inChannels() * s.outChannels();
    Buffer x = v.random(grid.rows() * s.inChannels());
    Buffer dy = v.random(grid.times(s.kernel()).rows() * s.outChannels());
    Buffer dx = v.poisoned(x.elements());
    Buffer dweight = v.random(weights);
    training.transposedConvolutionBackwardData(dy, v.random(weights), dx, grid, s);
    training.transposedConvolutionBackwardWeights(x, dy, dweight, grid, s);
    v.result(dx, dweight);
  }

  private static MatrixView view(Buffer buffer, int rows, int columns) {
    return new MatrixView(buffer, 3, rows, columns, columns + 2);
  }

  private static ChannelNorm.Batch batchNorm(Values v, int channels) {
    return new ChannelNorm.Batch(
        "norm1", v.random(channels), v.random(channels), v.random(channels), v.positive(channels));
  }

  private static void loss(TrainingPrimitives training, Values v) {
    int voxels = 3001;
    Buffer target = v.classes(2L * voxels, 5);
    Buffer probabilities = v.poisoned(2L * 5 * voxels);
    LossSums sums =
        training.lossSums(v.random(probabilities.elements()), target, probabilities, 2, 5);
    v.result(probabilities);
    v.result(sums.overlap());
    v.result(sums.predicted());
    v.result(sums.target());
    v.result(sums.crossEntropy());
    double[] overlap = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    double[] predicted = {-5, 4, -3, 2, -1, 0, 1, -2, 3, -4};
    LossWeights weights = new LossWeights(overlap, predicted, 2);
    Buffer dlogits = v.poisoned(probabilities.elements());
    training.lossGradient(probabilities, target, weights, dlogits, 2, 5);
    v.result(dlogits);
  }

  /** A primitive on values of its own. */
  enum Primitive {
    CONVOLUTION_3((training, v) ->
        convolution(training, v, new Grid(2, new Extents(5, 6, 7)), Convolution.same3(16, 20))),
    CONVOLUTION_3_OF_ONE_CHANNEL((training, v) ->
        convolution(training, v, new Grid(1, new Extents(3, 9, 4)), Convolution.same3(1, 16))),
    CONVOLUTION_1((training, v) ->
        convolution(training, v, new Grid(2, new Extents(2, 3, 5)), Convolution.pointwise(8, 14))),
    CONVOLUTION_OF_PATCHES((training, v) ->
        convolution(
            training,
            v,
            new Grid(2, new Extents(4, 8, 12)),
            Convolution.patches(3, 32, new Extents(2, 4, 4)))),
    TRANSPOSED_CONVOLUTION((training, v) ->
        transposed(
            training,
            v,
            new Grid(2, new Extents(2, 3, 4)),
            Convolution.patches(32, 16, new Extents(2, 4, 4)))),
    COLUMN_SUMS((training, v) -> {
      Buffer sums = v.random(7);
      training.addColumnSums(view(v.random(3 + 900 * 9), 900, 7), sums);
      v.result(sums);
    }),
    REPEATS((training, v) -> {
      Buffer few = v.random(5000);
      Buffer many = v.random(3);
      training.addRepeats(v.random(10000), few);
      training.addRepeats(v.random(9000), many);
      v.result(few, many);
    }),
    LAYER_NORM((training, v) -> {
      Buffer dx = v.poisoned(300 * 20);
      Buffer dgamma = v.random(20);
      Buffer dbeta = v.random(20);
      Buffer dy = v.random(300 * 20);
      training.layerNormBackward(dy, v.random(300 * 20), v.random(20), dx, dgamma, dbeta, 20, 1e-5);
      v.result(dx, dgamma, dbeta);
    }),
    GROUP_NORM((training, v) -> {
      Grid grid = new Grid(2, new Extents(3, 4, 5));
      Buffer dx = v.poisoned(grid.rows() * 24);
      Buffer dgamma = v.random(24);
      Buffer dbeta = v.random(24);
      Buffer dy = v.random(dx.elements());
      Buffer x = v.random(dx.elements());
      training.groupNormBackward(dy, x, v.random(24), dx, dgamma, dbeta, grid, 24, 6, 1e-5);
      v.result(dx, dgamma, dbeta);
    }),
    INSTANCE_NORM((training, v) -> {
      Grid grid = new Grid(2, new Extents(7, 20, 21));
      Buffer dx = v.random(grid.rows() * 16);
      training.groupNormBackward(
          dx, v.random(dx.elements()), null, dx, null, null, grid, 16, 16, 1e-5);
      v.result(dx);
    }),
    STATISTICS((training, v) -> {
      ChannelNorm.Batch norm = batchNorm(v, 6);
      training.updateStatistics(v.random(6 * 4000), norm, 6, 0.1);
      v.result(norm.mean(), norm.variance(), norm.gamma(), norm.beta());
    }),
    LEAKY_RELU((training, v) -> {
      Buffer dx = v.poisoned(5000);
      training.leakyReluBackward(v.random(5000), v.random(5000), dx, 0.01);
      v.result(dx);
    }),
    SOFTMAX((training, v) -> {
      Buffer dx = v.poisoned(200 * 33);
      training.softmaxBackward(v.random(200 * 33), v.positive(200 * 33), dx, 33);
      v.result(dx);
    }),
    ADD_SCALED((training, v) -> {
      Buffer dgamma = v.random(9);
      Buffer b = v.random(9 * 700);
      training.addScaledBackward(v.random(9 * 700), v.random(9), b, b, dgamma, 9);
      v.result(b, dgamma);
    }),
    SCALE_RUNS((training, v) -> {
      Buffer dy = v.random(4 * 1100);
      Buffer dscales = v.random(4);
      training.scaleRunsBackward(dy, v.random(dy.elements()), v.random(4), dscales, 1100);
      v.result(dy, dscales);
    }),
    NORMALIZE_COLUMNS((training, v) -> {
      Buffer y = v.random(3 + 900 * 10);
      Buffer dy = v.random(3 + 900 * 10);
      Buffer norms = v.poisoned(8);
      training.normalizeColumns(view(y, 900, 8), norms);
      training.normalizeColumnsBackward(view(dy, 900, 8), view(y, 900, 8), norms);
      v.result(y, norms, dy);
    }),
    DROPOUT((training, v) -> {
      Buffer y = v.poisoned(9001);
      training.dropout(v.random(9001), y, new Dropout(0.3, -5L << 40, 12, 3L << 33), 1234567);
      v.result(y);
    }),
    CHANNEL_DROPOUT((training, v) -> {
      Grid grid = new Grid(2, new Extents(2, 3, 4));
      Buffer y = v.poisoned(grid.rows() * 24);
      training.channelDropout(v.random(y.elements()), y, new Dropout(0.5, 9, 1, 2), grid, 24);
      v.result(y);
    }),
    LOSS(TrainingPrimitivesTest::loss),
    COPY_AND_CLEAR((training, v) -> {
      Buffer copy = v.poisoned(70001);
      Buffer cleared = v.poisoned(70001);
      training.copy(v.random(70001), copy);
      training.clear(cleared);
      v.result(copy, cleared);
    }),
    SUM_OF_SQUARES((training, v) -> {
      double sum = training.sumOfSquares(v.random(100001));
      v.result(sum);
    }),
    SGD((training, v) -> {
      Buffer values = v.random(9001);
      Buffer velocity = v.random(9001);
      training.sgd(values, v.random(9001), velocity, new SgdUpdate(0.01, 0.99, 3e-5, 0.5));
      v.result(values, velocity);
    }),
    ADAM_W((training, v) -> {
      Buffer values = v.random(9001);
      Buffer first = v.random(9001);
      Buffer second = v.positive(9001);
      training.adamW(
          values,
          v.random(9001),
          first,
          second,
          new AdamUpdate(1e-3, 0.9, 0.999, 1e-8, 0.01, 0.5, 3));
      v.result(values, first, second);
    });

    private final Body body;

    Primitive(Body body) {
      this.body = body;
    }

    private List<double[]> results(Backend backend) {
      try (var _ = backend.scopes().open()) {
        Values values = new Values(backend);
        body.run(backend.training(), values);
        backend.synchronize();
        return values.results;
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void gradientsAreThoseOfTheReference(Primitive primitive) {
    List<double[]> expected = primitive.results(reference);
    List<double[]> actual = primitive.results(processor);
    assertThat(actual).hasSameSizeAs(expected);
    for (int result = 0; result < expected.size(); result++) {
      assertClose(actual.get(result), expected.get(result), "result " + result);
    }
    assertThat(processor.allocator().bytesInUse()).isZero();
  }

  /** Differences are measured by the largest expected value. */
  private static void assertClose(double[] actual, double[] expected, String what) {
    assertThat(actual).as(what).hasSameSizeAs(expected);
    double largest = Arrays.stream(expected).map(Math::abs).max().orElse(0);
    for (int i = 0; i < expected.length; i++) {
      assertThat(Math.abs(actual[i] - expected[i]) <= TOLERANCE * largest)
          .as("%s, element %d is %s, expected %s", what, i, actual[i], expected[i])
          .isTrue();
    }
  }
}
