package org.unetrpp.backend;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * The gradient of a box at the input it was run with.
 *
 * @param <P> the box's parameters
 */
@FunctionalInterface
public interface Pullback<P> {
  /**
   * Applies the chain rule, once. The inputs of the box still hold the values they had; its output
   * may be overwritten, and what it kept is overwritten or released.
   *
   * @param dy gradient of the output; unchanged
   * @param gradients buffers of the form of the parameters, to which their gradients are added
   * @param dx overwritten by the gradient of the input; none if nobody wants it
   */
  void apply(Buffer dy, P gradients, @Nullable Buffer dx);
}
