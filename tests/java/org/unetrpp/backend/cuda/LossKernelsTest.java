package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.memory.DType;

class LossKernelsTest {
  private static final Percentage CLOSE = Percentage.withPercentage(2e-4);

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  /** Numbers of classes, and one more that is none. */
  private static Pair targets(Twin twin, int count, int classes) {
    Random random = new Random(5);
    float[] targets = new float[count];
    for (int i = 0; i < count; i++) {
      targets[i] = random.nextInt(classes + 1);
    }
    return twin.pair(targets);
  }

  private static void assertClose(double[] actual, double[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).isCloseTo(expected[i], CLOSE);
    }
  }

  @ParameterizedTest(name = "{0}, {1} times {2} classes of {3} voxels")
  @CsvSource({
    "FLOAT32, 2, 14, 4100", // several blocks
    "FLOAT32, 1, 3, 2051",
    "BFLOAT16, 2, 4, 3002",
    "BFLOAT16, 1, 200, 130",
    "FLOAT32, 5, 2, 1",
  })
  void sumsAreOfUnroundedProbabilities(DType type, int batch, int classes, int voxels) {
    try (Twin twin = new Twin(type)) {
      Pair logits = twin.activations((long) batch * classes * voxels, 0, 3);
      Pair target = targets(twin, batch * voxels, classes);
      LossSums actual =
          twin.device()
              .training()
              .lossSums(logits.device(), target.device(), logits.device(), batch, classes);
      LossSums expected =
          twin.reference()
              .training()
              .lossSums(logits.reference(), target.reference(), logits.reference(), batch, classes);
      assertThat(actual.target()).isEqualTo(expected.target());
      assertClose(actual.overlap(), expected.overlap());
      assertClose(actual.predicted(), expected.predicted());
      assertThat(actual.crossEntropy()).isCloseTo(expected.crossEntropy(), CLOSE);
      twin.assertSame(logits);
    }
  }

  @Test
  void sumsAreTheSameEveryTime() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair logits = twin.activations(3L * 5000);
      Pair target = targets(twin, 5000, 3);
      Pair probabilities = twin.room(3L * 5000);
      LossSums[] sums = new LossSums[2];
      for (int i = 0; i < sums.length; i++) {
        sums[i] =
            twin.device()
                .training()
                .lossSums(logits.device(), target.device(), probabilities.device(), 1, 3);
      }
      assertThat(sums[1].overlap()).isEqualTo(sums[0].overlap());
      assertThat(sums[1].predicted()).isEqualTo(sums[0].predicted());
      assertThat(sums[1].crossEntropy()).isEqualTo(sums[0].crossEntropy());
    }
  }

  @Test
  void farLogitsNeitherOverflowNorVanishInTheCrossEntropy() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair logits = twin.pair(3e4f, 0, -3e4f, 1e5f); // 2 classes of 2 voxels
      Pair target = twin.pair(1, 0);
      LossSums sums =
          twin.device()
              .training()
              .lossSums(logits.device(), target.device(), logits.device(), 1, 2);
      assertThat(sums.crossEntropy()).isCloseTo(16e4, within(0.1));
      assertThat(twin.device().download(logits.device())).containsExactly(1, 0, 0, 1);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void gradientIsThatOfTheSums(DType type) {
    int batch = 2;
    int classes = 5;
    int voxels = 2054;
    try (Twin twin = new Twin(type)) {
      Pair logits = twin.activations((long) batch * classes * voxels, 0, 2);
      Pair target = targets(twin, batch * voxels, classes);
      twin.device()
          .training()
          .lossSums(logits.device(), target.device(), logits.device(), batch, classes);
      Pair p = twin.pair(twin.device().download(logits.device()));
      double[] overlap = new Random(1).doubles((long) batch * classes, -1, 1).toArray();
      double[] predicted = new Random(2).doubles((long) batch * classes, -1, 1).toArray();
      LossWeights weights = new LossWeights(overlap, predicted, 0.4);
      twin.device()
          .training()
          .lossGradient(p.device(), target.device(), weights, p.device(), batch, classes);
      twin.reference()
          .training()
          .lossGradient(p.reference(), target.reference(), weights, p.reference(), batch, classes);
      twin.assertSame(p);
    }
  }
}
