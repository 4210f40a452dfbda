package org.unetrpp.tensor;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/** What a backward pass found: one gradient for each leaf it reached. */
public final class Gradients {
  private final Map<Tensor, Tensor> byTensor = new HashMap<>();

  /** Memory that is not the pass's to release. */
  private final Set<Buffer> foreign = new HashSet<>();

  /** Leaves the memory of {@code tensor} alone. */
  void leave(Tensor tensor) {
    foreign.add(tensor.buffer());
  }

  /**
   * The gradient with respect to {@code tensor}, of the same shape.
   *
   * @throws IllegalArgumentException if it is no leaf, or the loss does not depend on it
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
    Tensor sum = byTensor.get(tensor);
    if (sum == null) {
      byTensor.put(tensor, gradient);
      return;
    }
    Tensor total = sum.like();
    sum.backend().add(sum.buffer(), gradient.buffer(), total.buffer());
    byTensor.put(tensor, total);
    releaseUnlessNeeded(sum);
    releaseUnlessNeeded(gradient);
  }

  /** Drops a gradient that has been passed on. */
  void drop(Tensor tensor) {
    Tensor gradient = byTensor.remove(tensor);
    if (gradient != null) {
      releaseUnlessNeeded(gradient);
    }
  }

  private void releaseUnlessNeeded(Tensor gradient) {
    Buffer buffer = gradient.buffer();
    if (!foreign.contains(buffer)
        && byTensor.values().stream().noneMatch(other -> other.buffer().equals(buffer))) {
      gradient.backend().scopes().release(buffer);
    }
  }
}
