package org.unetrpp.tensor;

import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.SequencedSet;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;

/**
 * Values of one type on one device, their shape, and the operation they came from. Equal only to
 * itself. Operations are recorded only where a {@link #tracked} tensor takes part, so a network
 * whose parameters are not tracked runs without a tape.
 */
public final class Tensor {
  private final Buffer buffer;
  private final Shape shape;
  private final Backend backend;
  private final boolean isTracked;
  private final @Nullable Node node;

  private Tensor(
      Buffer buffer, Shape shape, Backend backend, boolean isTracked, @Nullable Node node) {
    if (buffer.elements() != shape.elements()) {
      throw new IllegalArgumentException(
          "%d elements do not fill shape %s".formatted(buffer.elements(), shape));
    }
    this.buffer = buffer;
    this.shape = shape;
    this.backend = backend;
    this.isTracked = isTracked;
    this.node = node;
  }

  /** A tensor of undefined values of the backend's type in the innermost memory scope. */
  public static Tensor uninitialized(Backend backend, Shape shape) {
    Buffer buffer = backend.scopes().allocate(backend.computeType(), shape.elements());
    return new Tensor(buffer, shape, backend, false, null);
  }

  /** A tensor of host values in the innermost memory scope. */
  public static Tensor of(Backend backend, Shape shape, float... values) {
    Tensor tensor = uninitialized(backend, shape);
    backend.upload(values, tensor.buffer);
    return tensor;
  }

  /** A tensor of the values that a buffer holds, which the caller keeps alive. */
  public static Tensor over(Backend backend, Buffer buffer, Shape shape) {
    return new Tensor(buffer, shape, backend, false, null);
  }

  /**
   * Runs {@code computation} in a memory scope of its own and keeps only its result; everything
   * else it allocated is released.
   */
  public static Tensor keepingOnly(Backend backend, Supplier<Tensor> computation) {
    try (MemoryScope scope = backend.scopes().open()) {
      Tensor result = computation.get();
      scope.keep(result.buffer);
      return result;
    }
  }

  /** An uninitialized tensor of the same shape and device. */
  public Tensor like() {
    return uninitialized(backend, shape);
  }

  /** A leaf of the same values with respect to which {@link #backward} differentiates. */
  public Tensor tracked() {
    return new Tensor(buffer, shape, backend, true, null);
  }

  /** These values, put on the tape as the output of an operation if an input is tracked. */
  public Tensor producedBy(String operation, List<Tensor> inputs, GradientFunction gradient) {
    if (inputs.stream().noneMatch(input -> input.isTracked)) {
      return this;
    }
    return new Tensor(buffer, shape, backend, true, new Node(operation, inputs, gradient));
  }

  /**
   * These values, put on the tape as the output of an operation that adds to the gradients of
   * parameters, whether an input is tracked or not.
   *
   * @param inputs those whose gradients {@code gradient} gives
   */
  public Tensor producedByTrained(
      String operation, List<Tensor> inputs, GradientFunction gradient) {
    return new Tensor(buffer, shape, backend, true, new Node(operation, inputs, gradient));
  }

  /** Whether the tape leads here, or this is a leaf that it starts from. */
  public boolean isTracked() {
    return isTracked;
  }

  /**
   * Differentiates this tensor with respect to the leaves that it was computed from. Gradients on
   * the way are released as soon as they have been passed on.
   *
   * @param outputGradient gradient of the loss with respect to this tensor, of its shape
   * @throws IllegalArgumentException if {@code outputGradient} has another shape
   */
  public Gradients backward(Tensor outputGradient) {
    Shape.require("outputGradient", outputGradient.shape, shape);
    Gradients gradients = new Gradients();
    SequencedSet<Tensor> order = reverseTopologicalOrder();
    order.forEach(gradients::leave);
    gradients.leave(outputGradient);
    gradients.accumulate(this, outputGradient);
    for (Tensor tensor : order) {
      Tensor gradient = gradients.find(tensor);
      if (tensor.node == null || gradient == null) {
        continue;
      }
      List<Tensor> inputs = tensor.node.inputs();
      List<Tensor> inputGradients = tensor.node.gradient().apply(gradient);
      for (int i = 0; i < inputs.size(); i++) {
        gradients.accumulate(inputs.get(i), inputGradients.get(i));
      }
      gradients.drop(tensor);
    }
    return gradients;
  }

  public Buffer buffer() {
    return buffer;
  }

  public Shape shape() {
    return shape;
  }

  public Backend backend() {
    return backend;
  }

  /** Copies the values to the host, after all queued work. */
  public float[] toArray() {
    return backend.download(buffer);
  }

  @Override
  public String toString() {
    String operation = node == null ? "leaf" : node.operation();
    return "%s %s %s".formatted(operation, buffer.dtype(), shape);
  }

  private SequencedSet<Tensor> reverseTopologicalOrder() {
    SequencedSet<Tensor> order = new LinkedHashSet<>();
    visit(this, new HashSet<>(), order);
    return order.reversed();
  }

  private static void visit(Tensor tensor, Set<Tensor> seen, SequencedSet<Tensor> order) {
    if (!seen.add(tensor)) {
      return;
    }
    if (tensor.node != null) {
      tensor.node.inputs().forEach(input -> visit(input, seen, order));
    }
    order.addLast(tensor);
  }

  private record Node(String operation, List<Tensor> inputs, GradientFunction gradient) {}
}
