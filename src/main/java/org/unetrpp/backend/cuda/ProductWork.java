package org.unetrpp.backend.cuda;

import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cuda.driver.Precision;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * A matrix product.
 *
 * @param a type of the first factor
 * @param transposeA whether the first factor is transposed
 * @param b type of the second factor
 * @param transposeB whether the second factor is transposed
 * @param c type of the result
 * @param accumulate whether it is added
 * @param precision of products of float32
 * @param rows of the result
 * @param terms of each sum
 * @param columns of the result
 */
record ProductWork(
    DType a,
    boolean transposeA,
    DType b,
    boolean transposeB,
    DType c,
    boolean accumulate,
    Precision precision,
    int rows,
    int terms,
    int columns)
    implements Work<MatrixProducts> {

  /** The work of these arguments. */
  static ProductWork of(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate,
      Precision precision) {
    return new ProductWork(
        a.buffer().dtype(),
        transposeA,
        b.buffer().dtype(),
        transposeB,
        c.buffer().dtype(),
        accumulate,
        precision,
        c.rows(),
        transposeA ? a.rows() : a.columns(),
        c.columns());
  }

  @Override
  public String key() {
    return "product %s%s %s%s to %s%s, %d x %d x %d"
        .formatted(
            a.suffix(),
            transposeA ? "^T" : "",
            b.suffix(),
            transposeB ? "^T" : "",
            accumulate ? "added " : "",
            c.suffix(),
            rows,
            terms,
            columns);
  }

  @Override
  public double tolerance() {
    boolean rounded = a == DType.BFLOAT16 || b == DType.BFLOAT16 || c == DType.BFLOAT16;
    return ConvolutionWork.tolerance(rounded ? DType.BFLOAT16 : DType.FLOAT32, precision, terms);
  }

  @Override
  public Trial<MatrixProducts> trial(RandomValues random) {
    MatrixView first = matrix(random, a, transposeA, rows, terms, 1);
    MatrixView second = matrix(random, b, transposeB, terms, columns, 2);
    return new Trial<>() {
      @Override
      public Buffer output() {
        return random.allocate(c, (long) rows * columns, 3);
      }

      @Override
      public void run(MatrixProducts provider, Buffer output) {
        provider.product(
            first,
            transposeA,
            second,
            transposeB,
            new MatrixView(output, 0, rows, columns, columns),
            accumulate);
      }
    };
  }

  private static MatrixView matrix(
      RandomValues random, DType dtype, boolean transposed, int rows, int columns, long seed) {
    Buffer values = random.allocate(dtype, (long) rows * columns, seed);
    return transposed
        ? new MatrixView(values, 0, columns, rows, rows)
        : new MatrixView(values, 0, rows, columns, columns);
  }
}
