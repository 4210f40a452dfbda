package org.unetrpp.backend.cuda;

import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cuda.driver.Precision;

/** Matrix products, each by the provider chosen for its shape. */
final class MeasuredMatrixProducts implements MatrixProducts {
  private final ProviderChoice<MatrixProducts, ProductWork> choice;
  private final Precision precision;

  MeasuredMatrixProducts(ProviderChoice<MatrixProducts, ProductWork> choice, Precision precision) {
    this.choice = choice;
    this.precision = precision;
  }

  @Override
  public String name() {
    return "measured";
  }

  @Override
  public void product(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate) {
    MatrixProducts provider =
        isUsual(a) && isUsual(b) && isUsual(c)
            ? choice.of(ProductWork.of(a, transposeA, b, transposeB, c, accumulate, precision))
            : choice.own();
    provider.product(a, transposeA, b, transposeB, c, accumulate);
  }

  /** Whether rows follow each other without overlap, at a distance that libraries can count. */
  private static boolean isUsual(MatrixView matrix) {
    return matrix.rows() <= 1
        || (matrix.rowStride() >= matrix.columns() && matrix.rowStride() <= Integer.MAX_VALUE);
  }
}
