package org.unetrpp.backend.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;

class BatchNormKernelsTest {
  private static final double EPSILON = 1e-5;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  /** A normalization on both. */
  private record Norm(ChannelNorm.Batch device, ChannelNorm.Batch reference) {
    static Norm of(Pair gamma, Pair beta, Pair mean, Pair variance) {
      return new Norm(
          new ChannelNorm.Batch(
              "norm", gamma.device(), beta.device(), mean.device(), variance.device()),
          new ChannelNorm.Batch(
              "norm", gamma.reference(), beta.reference(), mean.reference(), variance.reference()));
    }

    static Norm random(Twin twin, int channels) {
      return of(
          twin.parameters(channels),
          twin.parameters(channels),
          twin.parameters(channels),
          twin.positive(channels));
    }
  }

  @ParameterizedTest(name = "{0}, {1} rows of {2} channels")
  @CsvSource({
    "FLOAT32, 3000, 32",
    "FLOAT32, 77, 7",
    "FLOAT32, 2, 1",
    "FLOAT32, 5, 1028",
    "BFLOAT16, 3000, 32",
    "BFLOAT16, 77, 7",
    "BFLOAT16, 9, 512",
    "BFLOAT16, 4, 300"
  })
  void normalizesAsTheReference(DType type, int rows, int channels) {
    try (Twin twin = new Twin(type)) {
      Norm norm = Norm.random(twin, channels);
      Pair x = twin.activations((long) rows * channels, 0.5, 2);
      Pair residual = twin.activations((long) rows * channels);
      Pair y = twin.room((long) rows * channels);
      Pair z = twin.room((long) rows * channels);
      twin.device().batchNorm(x.device(), norm.device(), y.device(), channels, EPSILON);
      twin.device()
          .batchNorm()
          .forwardResidual(
              x.device(), norm.device(), residual.device(), 0.01, z.device(), channels, EPSILON);
      twin.device().batchNorm(x.device(), norm.device(), x.device(), channels, EPSILON);
      twin.reference().batchNorm(x.reference(), norm.reference(), y.reference(), channels, EPSILON);
      twin.reference().training().copy(y.reference(), x.reference());
      twin.reference().add(y.reference(), residual.reference(), z.reference());
      twin.reference().leakyRelu(z.reference(), z.reference(), 0.01);
      twin.assertSame(x, y, z);
    }
  }

  @ParameterizedTest(name = "{0}, {1} rows of {2} channels")
  @CsvSource({
    "FLOAT32, 5000, 32",
    "FLOAT32, 77, 7",
    "FLOAT32, 2, 1",
    "FLOAT32, 3, 1028",
    "BFLOAT16, 5000, 32",
    "BFLOAT16, 77, 7",
    "BFLOAT16, 128, 256"
  })
  void runningStatisticsMoveAsThoseOfTheReference(DType type, int rows, int channels) {
    try (Twin twin = new Twin(type)) {
      Pair mean = twin.parameters(channels);
      Pair variance = twin.positive(channels);
      Norm norm = Norm.of(mean, variance, mean, variance);
      Pair x = twin.activations((long) rows * channels, 0.5, 2);
      for (double momentum : new double[] {0.1, 0.75}) {
        twin.device().training().updateStatistics(x.device(), norm.device(), channels, momentum);
        twin.reference()
            .training()
            .updateStatistics(x.reference(), norm.reference(), channels, momentum);
        twin.assertSame(mean, variance);
      }
    }
  }

  @ParameterizedTest(name = "{0}, {1} rows of {2} channels")
  @CsvSource({"FLOAT32, 5000, 32", "FLOAT32, 77, 7", "BFLOAT16, 3000, 32", "BFLOAT16, 77, 7"})
  void trainingNormalizesByTheStatisticsThatItMovesTowards(DType type, int rows, int channels) {
    try (Twin twin = new Twin(type)) {
      Pair gamma = twin.parameters(channels);
      Pair beta = twin.parameters(channels);
      Pair mean = twin.parameters(channels);
      Pair variance = twin.positive(channels);
      Norm norm = Norm.of(gamma, beta, mean, variance);
      Pair x = twin.activations((long) rows * channels, 0.5, 2);
      Pair residual = twin.activations((long) rows * channels);
      Pair y = twin.room((long) rows * channels);
      twin.device()
          .batchNorm()
          .forwardTraining(
              x.device(),
              norm.device(),
              0.1,
              residual.device(),
              0.01,
              y.device(),
              channels,
              EPSILON);
      Grid grid = new Grid(1, new Extents(1, 1, rows));
      twin.reference().training().updateStatistics(x.reference(), norm.reference(), channels, 0.1);
      twin.reference()
          .groupNorm(
              x.reference(),
              gamma.reference(),
              beta.reference(),
              y.reference(),
              grid,
              channels,
              channels,
              EPSILON);
      twin.reference().add(y.reference(), residual.reference(), y.reference());
      twin.reference().leakyRelu(y.reference(), y.reference(), 0.01);
      twin.assertSame(y, mean, variance);
    }
  }

  @Test
  void varianceOfValuesFarFromZeroDoesNotCancel() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair mean = twin.parameters(8);
      Pair variance = twin.positive(8);
      Norm norm = Norm.of(mean, variance, mean, variance);
      Pair x = twin.activations(8 * 4000, 1000, 1);
      twin.device().training().updateStatistics(x.device(), norm.device(), 8, 0.5);
      twin.reference().training().updateStatistics(x.reference(), norm.reference(), 8, 0.5);
      twin.assertSame(mean);
      // partial means of 1000 are rounded by up to 3e-5; squares of 1000 would be by 6e-2
      twin.assertSame(2e-5, variance);
    }
  }
}
