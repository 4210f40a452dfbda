package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;

/** What the CPU backend says of training beyond what every backend does. */
class CpuTrainingTest {
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

  @Test
  void rejectsASlopeThatHidesTheSign() {
    Buffer x = random.random(4, 1);
    assertThatThrownBy(() -> training.leakyReluBackward(x, x, x, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("LeakyReLU of slope 0.0, expected above 0 and at most 1");
  }

  @Test
  void crossEntropyOfSurePredictionsKeepsItsDigits() {
    Buffer logits = random.upload(new float[] {20, -1}); // 1 - p = 7.6e-10, below float's rounding
    Buffer target = random.upload(new float[] {0});
    LossSums sums = training.lossSums(logits, target, random.poisoned(2), 1, 2);
    assertThat(sums.crossEntropy()).isCloseTo(Math.log1p(Math.exp(-21)), within(1e-15));
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
