package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.unetrpp.backend.cuda.driver.Cublas;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** cuBLAS as its manual defines it, on memory of the host: column-major. */
final class HostCublas implements Cublas {
  boolean closed;
  int products;

  @Override
  public int version() {
    return 130_100;
  }

  @Override
  public void multiply(
      boolean transposeA,
      boolean transposeB,
      int m,
      int n,
      int k,
      Matrix a,
      Matrix b,
      Matrix c,
      boolean accumulate) {
    assertThat(a.dtype()).isEqualTo(b.dtype());
    assertThat(c.dtype()).isIn(DType.FLOAT32, a.dtype());
    assertThat(a.leadingDimension()).isGreaterThanOrEqualTo(transposeA ? k : m);
    assertThat(b.leadingDimension()).isGreaterThanOrEqualTo(transposeB ? n : k);
    assertThat(c.leadingDimension()).isGreaterThanOrEqualTo(m);
    products++;
    for (int column = 0; column < n; column++) {
      for (int row = 0; row < m; row++) {
        double sum = accumulate ? at(c, row, column) : 0;
        for (int i = 0; i < k; i++) {
          double left = transposeA ? at(a, i, row) : at(a, row, i);
          sum += left * (transposeB ? at(b, column, i) : at(b, i, column));
        }
        EmulatedContext.write(element(c, row, column), 0, (float) sum);
      }
    }
  }

  private static float at(Matrix matrix, int row, int column) {
    return EmulatedContext.read(element(matrix, row, column), 0);
  }

  private static Buffer element(Matrix matrix, int row, int column) {
    long index = row + (long) column * matrix.leadingDimension();
    return new Buffer(matrix.address() + index * matrix.dtype().bytes(), matrix.dtype(), 1);
  }

  @Override
  public void close() {
    closed = true;
  }
}
