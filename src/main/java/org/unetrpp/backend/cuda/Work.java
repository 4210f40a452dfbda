package org.unetrpp.backend.cuda;

import org.unetrpp.memory.Buffer;

/**
 * A computation of one shape, which several providers offer. Equal where the shape is.
 *
 * @param <P> who can compute it
 */
interface Work<P extends Provider> {
  /** What it is, in a line; the same for the same work in every run. */
  String key();

  /** Largest relative norm of the difference between two right results. */
  double tolerance();

  /** The work on random operands, allocated in the innermost scope. */
  Trial<P> trial(RandomValues random);

  /**
   * One computation that can be repeated.
   *
   * @param <P> who can compute it
   */
  interface Trial<P extends Provider> {
    /** A fresh output; with what is to be added to where the work adds. */
    Buffer output();

    /** Queues the work. */
    void run(P provider, Buffer output);
  }
}
