package org.unetrpp.ops;

import java.util.List;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/** Matrix products. */
public final class Products {
  private Products() {}

  /**
   * {@code y = a b}.
   *
   * @param a (M, K)
   * @param b (K, N)
   * @return (M, N)
   * @throws IllegalArgumentException if {@code b} does not have K rows
   */
  public static Tensor product(Tensor a, Tensor b) {
    Shape.require("b", b.shape(), Shape.of(a.shape().extent(1), b.shape().extent(1)));
    Tensor y =
        Tensor.uninitialized(a.backend(), Shape.of(a.shape().extent(0), b.shape().extent(1)));
    multiply(a, false, b, false, y);
    return y.producedBy("product", List.of(a, b), dy -> productGradients(dy, a, b));
  }

  private static List<Tensor> productGradients(Tensor dy, Tensor a, Tensor b) {
    Tensor da = a.like();
    Tensor db = b.like();
    multiply(dy, false, b, true, da);
    multiply(a, true, dy, false, db);
    return List.of(da, db);
  }

  private static void multiply(
      Tensor a, boolean transposeA, Tensor b, boolean transposeB, Tensor c) {
    c.backend().matrixProduct(matrix(a), transposeA, matrix(b), transposeB, matrix(c), false);
  }

  private static MatrixView matrix(Tensor tensor) {
    return MatrixView.of(tensor.buffer(), tensor.shape().extent(1));
  }
}
