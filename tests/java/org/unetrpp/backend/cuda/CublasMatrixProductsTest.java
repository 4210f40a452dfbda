package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** All around the calls of cuBLAS, which itself is played by the host. */
class CublasMatrixProductsTest {
  private static final int ROWS = 5;
  private static final int TERMS = 7;
  private static final int COLUMNS = 3;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @ParameterizedTest(name = "{0} transposed: {1}, {2} transposed: {3}, to {4}, added: {5}")
  @CsvSource({
    "FLOAT32, false, FLOAT32, false, FLOAT32, false",
    "FLOAT32, true, FLOAT32, false, FLOAT32, true",
    "FLOAT32, false, FLOAT32, true, FLOAT32, false",
    "FLOAT32, true, FLOAT32, true, FLOAT32, true",
    "BFLOAT16, false, BFLOAT16, true, BFLOAT16, false",
    "BFLOAT16, true, BFLOAT16, false, BFLOAT16, true",
    "BFLOAT16, true, BFLOAT16, false, FLOAT32, true",
  })
  void agreesWithTheDefinitionForTypesOfTheLibrary(
      DType a, boolean transposeA, DType b, boolean transposeB, DType c, boolean accumulate) {
    requireProduct(a, transposeA, b, transposeB, c, accumulate);
  }

  @ParameterizedTest(name = "{0} transposed: {1}, {2} transposed: {3}, to {4}, added: {5}")
  @CsvSource({
    "BFLOAT16, false, FLOAT32, true, BFLOAT16, false",
    "FLOAT32, true, BFLOAT16, false, FLOAT32, true",
    "FLOAT32, false, FLOAT32, false, BFLOAT16, true",
    "FLOAT32, false, FLOAT32, true, BFLOAT16, false",
  })
  void otherTypesAreConverted(
      DType a, boolean transposeA, DType b, boolean transposeB, DType c, boolean accumulate) {
    requireProduct(a, transposeA, b, transposeB, c, accumulate);
  }

  /** Of views into the middle of larger matrices, which keep what is around. */
  private static void requireProduct(
      DType a, boolean transposeA, DType b, boolean transposeB, DType c, boolean accumulate) {
    Random random = new Random(1);
    try (EmulatedContext emulated = new EmulatedContext();
        CublasMatrixProducts cublas =
            new CublasMatrixProducts(emulated.context(), new HostCublas());
        var _ = emulated.context().scopes().open()) {
      MatrixView first =
          transposeA
              ? view(emulated, random, a, TERMS, ROWS)
              : view(emulated, random, a, ROWS, TERMS);
      MatrixView second =
          transposeB
              ? view(emulated, random, b, COLUMNS, TERMS)
              : view(emulated, random, b, TERMS, COLUMNS);
      MatrixView result = view(emulated, random, c, ROWS, COLUMNS);
      float[] expected = EmulatedContext.values(result.buffer());
      for (int row = 0; row < ROWS; row++) {
        for (int column = 0; column < COLUMNS; column++) {
          double sum = accumulate ? at(result, row, column, false) : 0;
          for (int i = 0; i < TERMS; i++) {
            sum += (double) at(first, row, i, transposeA) * at(second, i, column, transposeB);
          }
          expected[Math.toIntExact(index(result, row, column))] = (float) sum;
        }
      }
      cublas.product(first, transposeA, second, transposeB, result, accumulate);
      // Values are sums of seven products below 1, and at most one factor is rounded.
      assertThat(EmulatedContext.values(result.buffer()))
          .usingComparatorWithPrecision(
              a == DType.FLOAT32 && b == DType.FLOAT32 && c == DType.FLOAT32 ? 1e-6f : 2e-2f)
          .containsExactly(expected);
    }
  }

  private static MatrixView view(
      EmulatedContext emulated, Random random, DType dtype, int rows, int columns) {
    int stride = columns + 3;
    Buffer buffer =
        emulated.buffer(dtype, EmulatedContext.random(random, dtype, 2 + (long) rows * stride));
    return new MatrixView(buffer, 2, rows, columns, stride);
  }

  private static long index(MatrixView matrix, int row, int column) {
    return matrix.offset() + row * matrix.rowStride() + column;
  }

  private static float at(MatrixView matrix, int row, int column, boolean transposed) {
    long index = transposed ? index(matrix, column, row) : index(matrix, row, column);
    return EmulatedContext.read(matrix.buffer(), index);
  }

  @Test
  void strideOfASingleRowDoesNotMatter() {
    try (EmulatedContext emulated = new EmulatedContext();
        CublasMatrixProducts cublas =
            new CublasMatrixProducts(emulated.context(), new HostCublas());
        var _ = emulated.context().scopes().open()) {
      Buffer row = emulated.buffer(DType.FLOAT32, 1, 2);
      Buffer result = emulated.buffer(DType.FLOAT32, 0);
      cublas.product(
          new MatrixView(row, 0, 1, 2, 1L << 40),
          false,
          new MatrixView(row, 0, 1, 2, 0),
          true,
          new MatrixView(result, 0, 1, 1, 0),
          false);
      assertThat(EmulatedContext.values(result)).containsExactly(5);
    }
  }

  @Test
  void emptyProductsAreRefused() {
    try (EmulatedContext emulated = new EmulatedContext();
        CublasMatrixProducts cublas =
            new CublasMatrixProducts(emulated.context(), new HostCublas())) {
      assertThat(cublas.refusal(work(1, 0, 1))).isNotNull();
      assertThat(cublas.refusal(work(0, 1, 1))).isNotNull();
      assertThat(cublas.refusal(work(1, 1, 0))).isNotNull();
      assertThat(cublas.refusal(work(1, 1, 1))).isNull();
    }
  }

  private static ProductWork work(int rows, int terms, int columns) {
    return new ProductWork(
        DType.FLOAT32,
        false,
        DType.BFLOAT16,
        true,
        DType.FLOAT32,
        true,
        Precision.FLOAT32,
        rows,
        terms,
        columns);
  }

  @Test
  void keySaysTypesTransposesAndSizes() {
    assertThat(work(2, 3, 4).key()).isEqualTo("product f32 bf16^T to added f32, 2 x 3 x 4");
  }
}
