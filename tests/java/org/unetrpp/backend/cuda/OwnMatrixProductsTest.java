package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.cuda.OwnMatrixProducts.Slices;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.backend.cuda.Twin.Views;
import org.unetrpp.memory.DType;

class OwnMatrixProductsTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  private static void product(
      Twin twin, Views a, boolean transposeA, Views b, boolean transposeB, Views c, boolean add) {
    twin.device().matrixProduct(a.device(), transposeA, b.device(), transposeB, c.device(), add);
    twin.reference()
        .matrixProduct(a.reference(), transposeA, b.reference(), transposeB, c.reference(), add);
  }

  /** A matrix inside a wider buffer, where no vector is aligned. */
  private static Views part(Pair pair, int rows, int columns) {
    return pair.view(1, rows, columns, columns + 3L);
  }

  private static Pair around(Twin twin, DType type, int rows, int columns) {
    return twin.pair(type, twin.values(1 + rows * (columns + 3L), 0, 1));
  }

  @ParameterizedTest(name = "{0} x {2} x {1}, a transposed {3}, b transposed {4}, {5} {6} {7}")
  @CsvSource({
    "64, 32, 32768, true, false, BFLOAT16, BFLOAT16, FLOAT32", // keys to projected tokens
    "9, 7, 3000, true, true, FLOAT32, BFLOAT16, BFLOAT16",
    "70, 130, 2000, false, true, BFLOAT16, FLOAT32, BFLOAT16",
    "65, 65, 515, false, false, FLOAT32, FLOAT32, FLOAT32",
    "3, 8200, 600, false, false, FLOAT32, BFLOAT16, FLOAT32", // sums of several runs
    "8200, 5, 600, true, true, BFLOAT16, BFLOAT16, BFLOAT16",
    "130, 70, 1, false, false, FLOAT32, FLOAT32, BFLOAT16",
  })
  void productIsThatOfTheReference(
      int rows,
      int columns,
      int inner,
      boolean transposeA,
      boolean transposeB,
      DType typeA,
      DType typeB,
      DType typeC) {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      int rowsA = transposeA ? inner : rows;
      int rowsB = transposeB ? columns : inner;
      int columnsA = transposeA ? rows : inner;
      int columnsB = transposeB ? inner : columns;
      Pair a = around(twin, typeA, rowsA, columnsA);
      Pair b = around(twin, typeB, rowsB, columnsB);
      Pair c = around(twin, typeC, rows, columns);
      Views left = part(a, rowsA, columnsA);
      Views right = part(b, rowsB, columnsB);
      product(twin, left, transposeA, right, transposeB, part(c, rows, columns), true);
      twin.assertSame(c);
      product(twin, left, transposeA, right, transposeB, part(c, rows, columns), false);
      twin.assertSame(c);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void emptySumIsZeroOrWhatWasThere(DType type) {
    try (Twin twin = new Twin(type)) {
      Views nothing = twin.room(1).view(0, 5, 0, 0);
      Views none = twin.room(1).view(0, 0, 3, 3);
      Pair c = twin.pair(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
      product(twin, nothing, false, none, false, c.view(0, 5, 3, 3), true);
      assertThat(twin.device().download(c.device())).startsWith(1, 2, 3).endsWith(14, 15);
      product(twin, nothing, false, none, false, c.view(0, 5, 3, 3), false);
      assertThat(twin.device().download(c.device())).containsOnly(0);
    }
  }

  @Test
  void productOfSlicesIsTheSameEveryTime() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Views a = twin.activations(5000L * 20).view(0, 5000, 20, 20);
      Views b = twin.activations(5000L * 30).view(0, 5000, 30, 30);
      Pair once = twin.room(600);
      Pair again = twin.room(600);
      product(twin, a, true, b, false, once.view(0, 20, 30, 30), false);
      product(twin, a, true, b, false, again.view(0, 20, 30, 30), false);
      twin.assertSame(once);
      assertThat(twin.device().download(again.device()))
          .isEqualTo(twin.device().download(once.device()));
    }
  }

  @ParameterizedTest(name = "{0} x {2} x {1} in {3} tiles and {4} slices")
  @CsvSource({
    "32768, 128, 32, 1024, 1",
    "64, 32, 32768, 1, 256",
    "8, 8, 1000000, 1, 256",
    "256, 256, 256, 16, 2",
    "256, 256, 255, 16, 1",
    "1, 1, 1, 1, 1",
    "1, 1, 0, 1, 1",
    "700, 700, 100000, 121, 2",
  })
  void sumsAreCutWhereTheyAreLongAndFew(int rows, int columns, int inner, int tiles, int slices) {
    Slices cut = Slices.of(rows, columns, inner);
    assertThat(cut.tiles()).isEqualTo(tiles);
    assertThat(cut.count()).isEqualTo(slices);
    assertThat((long) cut.count() * cut.size()).isGreaterThanOrEqualTo(inner);
    assertThat((long) (cut.count() - 1) * cut.size()).isLessThanOrEqualTo(inner);
  }

  @Test
  void refusesMatricesThatDoNotFit() {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Views a = twin.activations(6).view(0, 2, 3, 3);
      Views c = twin.activations(4).view(0, 2, 2, 2);
      assertThatThrownBy(() ->
              twin.device().matrixProduct(a.device(), false, a.device(), false, c.device(), false))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("does not fit");
    }
  }
}
