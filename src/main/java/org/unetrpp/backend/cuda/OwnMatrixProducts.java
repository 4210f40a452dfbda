package org.unetrpp.backend.cuda;

import org.unetrpp.backend.MatrixView;

/** Matrix products by {@code kernels/matrix_product.cu}. */
final class OwnMatrixProducts implements MatrixProducts {
  private static final String FILE = "matrix_product";

  private final CudaContext context;

  OwnMatrixProducts(CudaContext context) {
    this.context = context;
  }

  @Override
  public String name() {
    return "own";
  }

  @Override
  public void product(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate) {
    throw new UnsupportedOperationException();
  }
}
