package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.memory.DType;

class LayerNormKernelsTest {
  private static final double EPSILON = 1e-5;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @ParameterizedTest(name = "{0}, {1} rows of {2} channels")
  @CsvSource({
    "FLOAT32, 1, 2",
    "FLOAT32, 3, 7",
    "FLOAT32, 3000, 32", // more blocks than lanes
    "FLOAT32, 33, 127",
    "FLOAT32, 9, 257",
    "FLOAT32, 70, 128",
    "FLOAT32, 10, 132",
    "FLOAT32, 10, 384",
    "FLOAT32, 17, 512",
    "FLOAT32, 5, 511",
    "BFLOAT16, 3000, 32",
    "BFLOAT16, 19, 3",
    "BFLOAT16, 70, 64",
    "BFLOAT16, 9, 256",
    "BFLOAT16, 9, 512",
    "BFLOAT16, 7, 129"
  })
  void normalizesAndDifferentiatesAsTheReference(DType type, int rows, int channels) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations((long) rows * channels, 0.5, 2);
      Pair dy = twin.activations((long) rows * channels, 0.2, 1);
      Pair gamma = twin.parameters(channels);
      Pair beta = twin.parameters(channels);
      Pair y = twin.room((long) rows * channels);
      Pair dx = twin.room((long) rows * channels);
      Pair dgamma = twin.parameters(channels);
      Pair dbeta = twin.parameters(channels);
      twin.device()
          .layerNorm(x.device(), gamma.device(), beta.device(), y.device(), channels, EPSILON);
      twin.reference()
          .layerNorm(
              x.reference(), gamma.reference(), beta.reference(), y.reference(), channels, EPSILON);
      backward(twin, dy, x, gamma, dx, dgamma, dbeta, channels);
      twin.assertSame(y, dgamma, dbeta);
      if (channels > 2) { // between two channels no gradient is left but for epsilon's sake
        twin.assertSame(dx);
      }
    }
  }

  private static void backward(
      Twin twin, Pair dy, Pair x, Pair gamma, Pair dx, Pair dgamma, Pair dbeta, int channels) {
    twin.device()
        .training()
        .layerNormBackward(
            dy.device(),
            x.device(),
            gamma.device(),
            dx.device(),
            dgamma.device(),
            dbeta.device(),
            channels,
            EPSILON);
    twin.reference()
        .training()
        .layerNormBackward(
            dy.reference(),
            x.reference(),
            gamma.reference(),
            dx.reference(),
            dgamma.reference(),
            dbeta.reference(),
            channels,
            EPSILON);
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void gradientMayTakeThePlaceOfTheOneAfterAndLieAnywhere(DType type) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.unaligned(40 * 64);
      Pair dy = twin.unaligned(40 * 64);
      Pair gamma = twin.parameters(64);
      Pair dgamma = twin.parameters(64);
      Pair dbeta = twin.parameters(64);
      backward(twin, dy, x, gamma, dy, dgamma, dbeta, 64);
      twin.assertSame(dy, dgamma, dbeta);
    }
  }

  @Test
  void rerunsGiveTheSameBits() {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair x = twin.activations(3000 * 32);
      Pair dy = twin.activations(3000 * 32);
      Pair gamma = twin.parameters(32);
      float[] start = twin.values(32, 0, 1);
      float[][] results = new float[2][];
      for (int run = 0; run < 2; run++) {
        Pair dgamma = twin.pair(DType.FLOAT32, start);
        Pair dbeta = twin.pair(DType.FLOAT32, start);
        backward(twin, dy, x, gamma, twin.room(3000 * 32), dgamma, dbeta, 32);
        results[run] = twin.device().download(dgamma.device());
      }
      assertThat(results[1]).isEqualTo(results[0]);
    }
  }

  @Test
  void moreChannelsThanThreadsCanHoldAreRejected() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair x = twin.activations(516);
      assertThatThrownBy(() -> backward(twin, x, x, x, x, x, x, 516))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("516 channels, expected at most 512");
    }
  }
}
