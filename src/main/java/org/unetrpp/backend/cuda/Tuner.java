package org.unetrpp.backend.cuda;

import java.util.List;
import java.util.function.Consumer;

/** Chooses how a kernel is launched, for each of its shapes. */
final class Tuner {
  /**
   * A configuration for a kernel.
   *
   * @param kernel the name that its choices are kept under
   * @param shape what the choice depends on; equal where the shape is, and says so in a line
   * @param candidates ways to launch it, all of which are right, at least one; the one first that
   *     is expected to be the quickest. Equal where they are the same, and each says what it is in
   *     a line
   * @param launch queues the kernel in one of these ways, any number of times with the same result
   * @param <C> configurations of the kernel
   */
  <C extends Record> C choose(
      String kernel, Record shape, List<C> candidates, Consumer<C> launch) {
    return candidates.getFirst();
  }
}
