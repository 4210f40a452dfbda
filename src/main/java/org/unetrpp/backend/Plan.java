package org.unetrpp.backend;

import java.util.function.Consumer;
import org.unetrpp.memory.Buffer;

/** A computation that was planned once, to be repeated. */
public interface Plan extends AutoCloseable {
  /**
   * Computes, from what the buffers hold that the computation reads.
   *
   * @param consumer is given the result, which holds until it returns
   */
  void run(Consumer<Buffer> consumer);

  /** Bytes that everything the computation allocates lies in; 0 if that is not planned. */
  long arenaBytes();

  /** Returns the memory of the plan. */
  @Override
  void close();
}
