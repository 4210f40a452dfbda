package org.unetrpp.nn;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.SequencedSet;
import org.unetrpp.backend.Backend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * The named tensors of a network on one device; they live until {@link #close}, which must come in
 * the order of memory scopes.
 */
public final class Parameters implements AutoCloseable {
  private final Backend backend;
  private final MemoryScope scope;
  private final SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();

  /** An empty set in a new memory scope of {@code backend}. */
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public Parameters(Backend backend) {
    this.backend = backend;
    this.scope = backend.scopes().open();
  }

  /**
   * Adds a tensor with these float32 values.
   *
   * @throws IllegalArgumentException if the name is taken
   */
  public void add(String name, Shape shape, MemorySegment values) {
    requireFree(name);
    Buffer buffer = backend.scopes().allocate(backend.parameterType(), shape.elements());
    backend.upload(values, buffer);
    tensors.put(name, Tensor.over(backend, buffer, shape));
  }

  /**
   * Adds a tensor whose memory belongs to the caller.
   *
   * @throws IllegalArgumentException if the name is taken
   */
  public void addView(String name, Shape shape, Buffer values) {
    requireFree(name);
    tensors.put(name, Tensor.over(backend, values, shape));
  }

  /**
   * Gives a tensor a second name.
   *
   * @throws IllegalArgumentException if {@code name} is taken or {@code of} unknown
   */
  public void alias(String name, String of) {
    requireFree(name);
    tensors.put(name, get(of));
  }

  /**
   * The tensor of this name.
   *
   * @throws IllegalArgumentException if there is none
   */
  public Tensor get(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("no parameter is named " + name);
    }
    return tensor;
  }

  /** The memory of the tensor of this name. */
  public Buffer buffer(String name) {
    return get(name).buffer();
  }

  /** The memory of all tensors, once each. */
  public List<Buffer> buffers() {
    return tensors.values().stream().map(Tensor::buffer).distinct().toList();
  }

  /** All names, aliases included, in the order they were added. */
  public SequencedSet<String> names() {
    return tensors.sequencedKeySet();
  }

  /** The device that holds the tensors. */
  public Backend backend() {
    return backend;
  }

  @Override
  public void close() {
    scope.close();
  }

  private void requireFree(String name) {
    if (tensors.containsKey(name)) {
      throw new IllegalArgumentException("two parameters are named " + name);
    }
  }
}
