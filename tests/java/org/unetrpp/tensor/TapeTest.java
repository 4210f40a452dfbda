package org.unetrpp.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.ops.Arithmetic;
import org.unetrpp.ops.Products;

class TapeTest {
  private final Backend backend = new ReferenceBackend();

  @AfterEach
  void everyBufferIsReleased() {
    assertThat(backend.allocator().bytesInUse()).isZero();
    backend.close();
  }

  @Test
  void productGradientMatchesCentralDifference() {
    try (var _ = backend.scopes().open()) {
      Tensor b = tensor("b", 4, 2);
      requireGradient(tensor("a", 3, 4), a -> Products.product(a, b));
      Tensor a = tensor("a", 3, 4);
      requireGradient(b, factor -> Products.product(a, factor));
    }
  }

  @Test
  void gradientsOfAllPathsAddUp() {
    try (var _ = backend.scopes().open()) {
      Tensor b = tensor("b", 3, 3);
      requireGradient(
          tensor("a", 3, 3),
          a -> {
            Tensor twice = Arithmetic.add(a, a);
            return Arithmetic.add(Products.product(twice, b), Arithmetic.add(twice, a));
          });
    }
  }

  @Test
  void gradientsStayWhenTheyServeTwoTensors() {
    try (var _ = backend.scopes().open()) {
      Tensor a = tensor("a", 2, 2).tracked();
      Tensor b = tensor("b", 2, 2).tracked();
      Tensor y = Arithmetic.add(Arithmetic.add(a, b), a);
      Gradients gradients = y.backward(Tensor.of(backend, y.shape(), 1, 1, 1, 1));
      assertThat(gradients.of(a).toArray()).containsExactly(2, 2, 2, 2);
      assertThat(gradients.of(b).toArray()).containsExactly(1, 1, 1, 1);
    }
  }

  @Test
  void gradientsOnTheWayAreReleased() {
    try (var _ = backend.scopes().open()) {
      Tensor a = tensor("a", 2, 2).tracked();
      Tensor b = tensor("b", 2, 2).tracked();
      Tensor y = a;
      for (int i = 0; i < 5; i++) {
        y = Products.product(y, b);
      }
      Tensor dy = Tensor.of(backend, y.shape(), 1, 1, 1, 1);
      long before = backend.allocator().bytesInUse();
      Gradients gradients = y.backward(dy);
      assertThat(backend.scopes().release(gradients.of(a).buffer())).isTrue();
      assertThat(backend.scopes().release(gradients.of(b).buffer())).isTrue();
      assertThat(backend.allocator().bytesInUse()).isEqualTo(before);
      assertThat(dy.toArray()).containsExactly(1, 1, 1, 1);
    }
  }

  @Test
  void nothingIsRecordedWithoutATrackedTensor() {
    try (var _ = backend.scopes().open()) {
      Tensor a = tensor("a", 2, 2);
      Tensor y = Arithmetic.add(a, a);
      Gradients gradients = y.backward(Tensor.of(backend, y.shape(), 1, 1, 1, 1));
      assertThatThrownBy(() -> gradients.of(a))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("does not depend on");
    }
  }

  @Test
  void rejectsAnOutputGradientOfAnotherShape() {
    try (var _ = backend.scopes().open()) {
      Tensor y = Arithmetic.add(tensor("a", 2, 2).tracked(), tensor("b", 2, 2));
      Tensor dy = tensor("dy", 4, 1);
      assertThatThrownBy(() -> y.backward(dy))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("outputGradient has shape (4, 1), expected (2, 2)");
    }
  }

  /** Compares the gradient of a weighted sum of the outputs with central differences. */
  private void requireGradient(Tensor at, Function<Tensor, Tensor> function) {
    float[] x = at.toArray();
    Tensor leaf = Tensor.of(backend, at.shape(), x).tracked();
    Tensor y = function.apply(leaf);
    float[] weights =
        DeterministicTensor.values("weights", Math.toIntExact(y.shape().elements()), 0, 1);
    Tensor dy = Tensor.of(backend, y.shape(), weights);
    double[] gradient = backend.downloadDouble(y.backward(dy).of(leaf).buffer());
    float step = 0x1p-7f;
    for (int i = 0; i < x.length; i++) {
      double up = weightedSum(function, at.shape(), moved(x, i, step), weights);
      double down = weightedSum(function, at.shape(), moved(x, i, -step), weights);
      // Both functions are of degree one in x, so only rounding of x +- step remains.
      assertThat(gradient[i]).isCloseTo((up - down) / (2 * step), within(1e-4));
    }
  }

  private double weightedSum(
      Function<Tensor, Tensor> function, Shape shape, float[] x, float[] weights) {
    double[] y = backend.downloadDouble(function.apply(Tensor.of(backend, shape, x)).buffer());
    double sum = 0;
    for (int i = 0; i < y.length; i++) {
      sum += y[i] * weights[i];
    }
    return sum;
  }

  private static float[] moved(float[] x, int index, float step) {
    float[] copy = x.clone();
    copy[index] += step;
    return copy;
  }

  private Tensor tensor(String name, int rows, int columns) {
    return Tensor.of(
        backend, Shape.of(rows, columns), DeterministicTensor.values(name, rows * columns, 0, 1));
  }
}
