package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.backend.cuda.Twin.Views;
import org.unetrpp.memory.DType;

class ColumnKernelsTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  /** A part of a larger matrix. */
  record Shape(int rows, int columns, int offset, int rowStride) {
    Views view(Pair pair) {
      return pair.view(offset, rows, columns, rowStride);
    }

    /** Of the buffer around the part. */
    long elements() {
      return offset + (long) rows * rowStride;
    }
  }

  static List<Arguments> cases() {
    List<Arguments> cases = new ArrayList<>();
    for (DType type : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      for (Shape shape :
          List.of(
              new Shape(5000, 32, 64, 128), // several chunks
              new Shape(5000, 32, 63, 128),
              new Shape(300, 64, 0, 64),
              new Shape(300, 64, 4, 66),
              new Shape(1, 5, 2, 9),
              new Shape(77, 1, 0, 3),
              new Shape(6, 1030, 2, 1040), // several tiles of columns
              new Shape(6, 1100, 4, 1104))) {
        cases.add(Arguments.of(type, shape));
      }
    }
    return cases;
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cases")
  void biasIsAddedToTheColumnsOfThePartOnly(DType type, Shape shape) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations(shape.elements());
      Pair bias = twin.parameters(shape.columns());
      twin.device().addBias(shape.view(x).device(), bias.device());
      twin.reference().addBias(shape.view(x).reference(), bias.reference());
      twin.assertSame(x);
    }
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cases")
  void columnSumsAreAdded(DType type, Shape shape) {
    try (Twin twin = new Twin(type)) {
      Pair dy = twin.activations(shape.elements());
      Pair dbias = twin.parameters(shape.columns());
      twin.device().training().addColumnSums(shape.view(dy).device(), dbias.device());
      twin.reference().training().addColumnSums(shape.view(dy).reference(), dbias.reference());
      twin.assertSame(dbias);
    }
  }

  @ParameterizedTest(name = "{0}, {1} repeats of {2}")
  @CsvSource({"FLOAT32, 2, 5000", "FLOAT32, 3000, 7", "BFLOAT16, 3, 4097", "BFLOAT16, 2, 4096"})
  void sumOfRepeatsIsAdded(DType type, int repeats, int length) {
    try (Twin twin = new Twin(type)) {
      Pair dy = twin.activations((long) repeats * length);
      Pair sum = twin.parameters(length);
      twin.device().training().addRepeats(dy.device(), sum.device());
      twin.reference().training().addRepeats(dy.reference(), sum.reference());
      twin.assertSame(sum);
    }
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cases")
  void columnsAreDividedByTheirNorms(DType type, Shape shape) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations(shape.elements());
      Pair twice = twin.pair(twin.device().download(x.device()));
      Pair norms = twin.room(DType.FLOAT32, shape.columns());
      twin.device().training().normalizeColumns(shape.view(x).device(), norms.device());
      twin.device().normalizeColumns(shape.view(twice).device());
      twin.reference().training().normalizeColumns(shape.view(x).reference(), norms.reference());
      twin.assertSame(x, norms);
      assertThat(twin.device().download(twice.device()))
          .isEqualTo(twin.device().download(x.device()));
    }
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cases")
  void gradientOfNormalizationIsThatOfTheReference(DType type, Shape shape) {
    try (Twin twin = new Twin(type)) {
      Pair y = twin.activations(shape.elements(), 0, 1 / Math.sqrt(shape.rows()));
      Pair dy = twin.activations(shape.elements());
      Pair norms = twin.positive(shape.columns());
      twin.device()
          .training()
          .normalizeColumnsBackward(
              shape.view(dy).device(), shape.view(y).device(), norms.device());
      twin.reference()
          .training()
          .normalizeColumnsBackward(
              shape.view(dy).reference(), shape.view(y).reference(), norms.reference());
      twin.assertSame(dy);
    }
  }

  @Test
  void normsMayBeOfTheTypeOfActivations() {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair x = twin.activations(500 * 16);
      Pair dy = twin.activations(500 * 16);
      Pair norms = twin.room(16);
      Views columns = x.view(0, 500, 16, 16);
      twin.device().training().normalizeColumns(columns.device(), norms.device());
      twin.reference().training().normalizeColumns(columns.reference(), norms.reference());
      twin.assertSame(x, norms);

      Pair y = twin.pair(twin.device().download(x.device()));
      Pair kept = twin.pair(twin.device().download(norms.device()));
      twin.device()
          .training()
          .normalizeColumnsBackward(
              dy.view(0, 500, 16, 16).device(), y.view(0, 500, 16, 16).device(), kept.device());
      twin.reference()
          .training()
          .normalizeColumnsBackward(
              dy.view(0, 500, 16, 16).reference(),
              y.view(0, 500, 16, 16).reference(),
              kept.reference());
      twin.assertSame(dy);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void columnsWithoutLengthAreDividedByTheLeastNormAndHaveNoRadialPart(DType type) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.pair(0, 3, 1e-14f, 0, 4, -1e-14f);
      Pair dy = twin.pair(1, 2, 3, 4, 5, 6);
      Pair norms = twin.room(3);
      Views columns = x.view(0, 2, 3, 3);
      twin.device().training().normalizeColumns(columns.device(), norms.device());
      assertThat(twin.device().download(x.device())[0]).isZero();
      assertThat(twin.device().download(x.device())[2]).isBetween(0.0099f, 0.0101f);
      assertThat(twin.device().download(norms.device())[0]).isBetween(0.995e-12f, 1.005e-12f);
      Views outputs = twin.pair(1, 1, 1, 1, 1, 1).view(0, 2, 3, 3);
      twin.device()
          .training()
          .normalizeColumnsBackward(dy.view(0, 2, 3, 3).device(), outputs.device(), norms.device());
      float[] gradients = twin.device().download(dy.device());
      assertThat(gradients[0]).isBetween(0.99e12f, 1.01e12f);
      assertThat(gradients[2]).isBetween(2.98e12f, 3.02e12f);
      assertThat(gradients[5]).isBetween(5.96e12f, 6.04e12f);
    }
  }

  @Test
  void rerunsGiveTheSameBits() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair x = twin.activations(5000 * 32);
      float[] start = twin.values(32, 0, 1);
      float[][] sums = new float[2][];
      for (int run = 0; run < 2; run++) {
        Pair sum = twin.pair(DType.FLOAT32, start);
        twin.device().training().addRepeats(x.device(), sum.device());
        sums[run] = twin.device().download(sum.device());
      }
      assertThat(sums[1]).isEqualTo(sums[0]);
    }
  }
}
