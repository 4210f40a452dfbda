package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cuda.driver.Cublas;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Matrix products by cuBLAS, whose matrices are column-major: what is row-major here is its
 * transpose there, and {@code c^T = op(b)^T op(a)^T}.
 *
 * <p>cuBLAS wants both factors of one type: a float32 factor of a bfloat16 one is rounded.
 */
final class CublasMatrixProducts implements MatrixProducts, Library<MatrixProducts, ProductWork> {
  private final CudaContext context;
  private final Cublas cublas;
  private final ElementKernels elements;

  /**
   * Products.
   *
   * @param cublas is closed with this
   */
  CublasMatrixProducts(CudaContext context, Cublas cublas) {
    this.context = context;
    this.cublas = cublas;
    elements = new ElementKernels(context);
  }

  @Override
  public String name() {
    return "cublas";
  }

  @Override
  public MatrixProducts provider() {
    return this;
  }

  @Override
  public @Nullable String refusal(ProductWork work) {
    if (work.rows() == 0 || work.columns() == 0 || work.terms() == 0) {
      return "is empty";
    }
    if (work.a() == DType.FLOAT32 && work.b() == DType.FLOAT32 && work.c() == DType.FLOAT32) {
      return null;
    }
    return TensorCores.areOn(context.driver()) ? null : "the device has no bfloat16";
  }

  @Override
  public void product(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate) {
    DType factors = a.buffer().dtype() == b.buffer().dtype() ? a.buffer().dtype() : DType.BFLOAT16;
    boolean wide = factors == DType.FLOAT32 && c.buffer().dtype() != DType.FLOAT32;
    int terms = transposeA ? a.rows() : a.columns();
    try (var _ = context.scopes().open()) {
      MatrixView first = as(factors, a);
      MatrixView second = as(factors, b);
      // What lies between the rows of c comes and goes with them, so it has to be read as well.
      MatrixView result = wide ? as(DType.FLOAT32, c) : c;
      cublas.multiply(
          transposeB,
          transposeA,
          c.columns(),
          c.rows(),
          terms,
          columnMajor(second),
          columnMajor(first),
          columnMajor(result),
          accumulate);
      if (wide) {
        elements.copy(result.buffer(), covering(c));
      }
    }
  }

  /** The matrix, or a copy of it in another type with the same row stride. */
  private MatrixView as(DType dtype, MatrixView matrix) {
    if (matrix.buffer().dtype() == dtype) {
      return matrix;
    }
    Buffer values = covering(matrix);
    Buffer converted = context.scopes().allocate(dtype, values.elements());
    elements.copy(values, converted);
    return new MatrixView(converted, 0, matrix.rows(), matrix.columns(), matrix.rowStride());
  }

  /** The part of the buffer from the matrix's first element to its last. */
  private static Buffer covering(MatrixView matrix) {
    long count = (matrix.rows() - 1) * matrix.rowStride() + matrix.columns();
    return matrix.buffer().slice(matrix.offset(), count);
  }

  private static Cublas.Matrix columnMajor(MatrixView matrix) {
    Buffer values = matrix.buffer();
    long stride = matrix.rows() == 1 ? matrix.columns() : matrix.rowStride();
    return new Cublas.Matrix(
        values.address() + matrix.offset() * values.dtype().bytes(),
        values.dtype(),
        Math.toIntExact(stride));
  }

  @Override
  public void close() {
    cublas.close();
  }
}
