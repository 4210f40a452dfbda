package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.memory.DType;

class SoftmaxKernelsTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @ParameterizedTest(name = "{0}, {1} rows of {2}")
  @CsvSource({
    "FLOAT32, 1, 1",
    "FLOAT32, 5, 2",
    "FLOAT32, 700, 3",
    "FLOAT32, 33, 8",
    "FLOAT32, 100, 64",
    "FLOAT32, 9, 33",
    "FLOAT32, 9, 128",
    "FLOAT32, 9, 132",
    "FLOAT32, 7, 510",
    "FLOAT32, 3, 512",
    "FLOAT32, 2, 1037",
    "BFLOAT16, 100, 64",
    "BFLOAT16, 41, 4",
    "BFLOAT16, 17, 31",
    "BFLOAT16, 7, 510",
    "BFLOAT16, 5, 512"
  })
  void probabilitiesAndGradientsAreThoseOfTheReference(DType type, int rows, int columns) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations((long) rows * columns, 1, 3);
      Pair y = twin.room((long) rows * columns);
      twin.device().softmax(x.device(), y.device(), columns);
      twin.reference().softmax(x.reference(), y.reference(), columns);
      twin.assertSame(y);

      Pair outputs = twin.pair(twin.device().download(y.device()));
      Pair dy = twin.activations((long) rows * columns);
      Pair dx = twin.room((long) rows * columns);
      backward(twin, dy, outputs, dx, columns);
      if (columns > 1) { // otherwise it is zero
        twin.assertSame(dx);
      }
    }
  }

  private static void backward(Twin twin, Pair dy, Pair y, Pair dx, int columns) {
    twin.device().training().softmaxBackward(dy.device(), y.device(), dx.device(), columns);
    twin.reference()
        .training()
        .softmaxBackward(dy.reference(), y.reference(), dx.reference(), columns);
  }

  @ParameterizedTest(name = "{0}, rows of {1}")
  @CsvSource({"FLOAT32, 64", "FLOAT32, 500", "BFLOAT16, 64", "BFLOAT16, 35"})
  void resultsMayTakeThePlaceOfInputsAndLieAnywhere(DType type, int columns) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.unaligned(11L * columns);
      Pair dy = twin.activations(11L * columns);
      twin.device().softmax(x.device(), x.device(), columns);
      twin.reference().softmax(x.reference(), x.reference(), columns);
      twin.assertSame(x);
      Pair y = twin.pair(twin.device().download(x.device()));
      backward(twin, dy, y, dy, columns);
      twin.assertSame(dy);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void largeLogitsDoNotOverflow(DType type) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.pair(1e4f, 1e4f, -1e4f, -2e30f, -3e38f, -3e38f, -3e38f, -3e38f);
      Pair y = twin.room(8);
      twin.device().softmax(x.device(), y.device(), 4);
      assertThat(twin.device().download(y.device()))
          .containsExactly(0.5f, 0.5f, 0, 0, 0.25f, 0.25f, 0.25f, 0.25f);
    }
  }

  @Test
  void rowsWithoutNumbersStayWithin() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair x = twin.pair(1, Float.NaN, 0, 0);
      Pair y = twin.room(4);
      twin.device().softmax(x.device(), y.device(), 2);
      assertThat(twin.device().download(y.device()))
          .containsExactly(Float.NaN, Float.NaN, 0.5f, 0.5f);
    }
  }
}
