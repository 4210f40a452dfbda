package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.memory.DType;

class OptimizerKernelsTest {
  private static final Percentage ROUNDED = Percentage.withPercentage(1e-10);

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @ParameterizedTest(name = "{1} values of {0}")
  @CsvSource({
    "FLOAT32, 1",
    "FLOAT32, 4097",
    "FLOAT32, 4300001", // more than the blocks take at once
    "BFLOAT16, 70003",
  })
  void sumOfSquaresHasTheDigitsOfADouble(DType type, int count) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations(count + 1L).slice(1, count);
      double expected = twin.reference().training().sumOfSquares(x.reference());
      double actual = twin.device().training().sumOfSquares(x.device());
      assertThat(actual).isCloseTo(expected, ROUNDED);
      assertThat(twin.device().training().sumOfSquares(x.device())).isEqualTo(actual);
    }
  }

  @Test
  void squaresOfLargeValuesDoNotOverflow() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair x = twin.pair(1e30f, -1e30f, 2e-30f);
      double expected = 2.0 * 1e30f * 1e30f;
      assertThat(twin.device().training().sumOfSquares(x.device())).isCloseTo(expected, ROUNDED);
    }
  }

  @Test
  void tenStepsStayWithTheReference() {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair values = twin.parameters(5003);
      Pair velocity = twin.pair(DType.FLOAT32, new float[5003]);
      Pair adapted = twin.parameters(5003);
      Pair first = twin.pair(DType.FLOAT32, new float[5003]);
      Pair second = twin.pair(DType.FLOAT32, new float[5003]);
      TrainingPrimitives device = twin.device().training();
      TrainingPrimitives reference = twin.reference().training();
      for (int step = 1; step <= 10; step++) {
        Pair g = twin.parameters(5003);
        SgdUpdate sgd = new SgdUpdate(0.01, 0.99, 3e-5, 0.7);
        device.sgd(values.device(), g.device(), velocity.device(), sgd);
        reference.sgd(values.reference(), g.reference(), velocity.reference(), sgd);
        AdamUpdate adam = new AdamUpdate(1e-3, 0.9, 0.999, 1e-8, 0.05, 0.7, step);
        device.adamW(adapted.device(), g.device(), first.device(), second.device(), adam);
        reference.adamW(
            adapted.reference(), g.reference(), first.reference(), second.reference(), adam);
      }
      twin.assertSame(values, velocity, adapted, first, second);
    }
  }

  @Test
  void partsOfOneBufferAreUpdatedAlone() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair all = twin.parameters(1200);
      Pair g = twin.parameters(1200);
      Pair velocity = twin.parameters(1200);
      SgdUpdate update = new SgdUpdate(0.1, 0.9, 0, 1);
      twin.device()
          .training()
          .sgd(
              all.slice(3, 1101).device(),
              g.slice(5, 1101).device(),
              velocity.slice(1, 1101).device(),
              update);
      twin.reference()
          .training()
          .sgd(
              all.slice(3, 1101).reference(),
              g.slice(5, 1101).reference(),
              velocity.slice(1, 1101).reference(),
              update);
      twin.assertSame(all, velocity);
    }
  }
}
