package org.unetrpp.tensor;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a backward pass found: one gradient for each tensor it reached. */
public final class Gradients {
  private final Map<Tensor, Tensor> byTensor = new HashMap<>();

  /**
   * The gradient with respect to {@code tensor}, of the same shape.
   *
   * @throws IllegalArgumentException if the loss does not depend on {@code tensor}
   */
  public Tensor of(Tensor tensor) {
    Tensor gradient = byTensor.get(tensor);
    if (gradient == null) {
      throw new IllegalArgumentException("the loss does not depend on " + tensor);
    }
    return gradient;
  }

  @Nullable Tensor find(Tensor tensor) {
    return byTensor.get(tensor);
  }

  /** Adds a path's contribution. A gradient may belong to several tensors, so it never changes. */
  void accumulate(Tensor tensor, Tensor gradient) {
    byTensor.merge(
        tensor,
        gradient,
        (sum, term) -> {
          Tensor total = sum.like();
          sum.backend().add(sum.buffer(), term.buffer(), total.buffer());
          return total;
        });
  }
}
