package org.unetrpp.nn;

import org.unetrpp.tensor.Tensor;

/** A part of a network with one input and one output. */
@FunctionalInterface
public interface Module {
  /** Computes the output. */
  Tensor forward(Tensor x);
}
