package org.unetrpp.backend.cuda.driver;

import org.unetrpp.memory.DType;

/** What is used of cuBLAS, on one stream. */
public interface Cublas extends AutoCloseable {
  /**
   * A column-major matrix on the device.
   *
   * @param address first element
   * @param dtype float32 or bfloat16
   * @param leadingDimension elements from one column to the next
   */
  record Matrix(long address, DType dtype, int leadingDimension) {}

  /** Version of the library, as 130100 for 13.1. */
  int version();

  /**
   * Queues {@code c = op(a) op(b)}, or {@code c += op(a) op(b)}, with sums in float32 and the same
   * result every time.
   *
   * @param transposeA whether {@code op(a)} is the transpose of {@code a}
   * @param transposeB whether {@code op(b)} is the transpose of {@code b}
   * @param m rows of {@code c}
   * @param n columns of {@code c}
   * @param k columns of {@code op(a)}
   * @param a of the type of {@code b}
   * @param c of the type of {@code a}, or float32
   */
  void multiply(
      boolean transposeA,
      boolean transposeB,
      int m,
      int n,
      int k,
      Matrix a,
      Matrix b,
      Matrix c,
      boolean accumulate);

  @Override
  void close();
}
