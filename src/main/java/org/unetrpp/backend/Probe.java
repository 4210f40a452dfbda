package org.unetrpp.backend;

import org.unetrpp.memory.Buffer;

/** Is shown intermediate results, under the names that published code has for them. */
@FunctionalInterface
public interface Probe {
  /** Looks at nothing. */
  Probe NONE = (name, values, rows, columns) -> {};

  /**
   * Called when a result is ready.
   *
   * @param name dotted name, such as {@code decoder5.decoder_block.0.0.epa_block.qkvv}
   * @param values the result; valid during the call only
   * @param rows number of rows: for activations the voxels of the batch
   * @param columns values in a row: for activations the channels
   */
  void output(String name, Buffer values, long rows, int columns);
}
