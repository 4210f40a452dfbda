package org.unetrpp.training;

import org.unetrpp.sampling.Batch;

/** An endless row of batches. */
@FunctionalInterface
public interface BatchSource {
  /**
   * A batch of the row, the same each time it is asked for.
   *
   * @param index from 0
   */
  Batch get(long index);
}
