package org.unetrpp.ops;

import java.util.List;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/** Element-wise sums. */
public final class Arithmetic {
  private Arithmetic() {}

  /**
   * {@code a + b}, element by element.
   *
   * @throws IllegalArgumentException if the shapes differ
   */
  public static Tensor add(Tensor a, Tensor b) {
    Shape.require("b", b.shape(), a.shape());
    Tensor y = a.like();
    a.backend().add(a.buffer(), b.buffer(), y.buffer());
    return y.producedBy("add", List.of(a, b), dy -> List.of(dy, dy));
  }
}
