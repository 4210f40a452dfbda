package org.unetrpp.model;

import org.unetrpp.backend.Dropout;
import org.unetrpp.nn.Parameters;

/**
 * What a network needs to be trained on one batch.
 *
 * @param gradients tensors named and shaped as the parameters, to which gradients are added
 * @param seed of the run's dropout
 * @param step of the run
 */
public record TrainingMode(Parameters gradients, long seed, long step) {
  private static final int DROPOUTS_OF_BLOCK = 4;

  /**
   * A dropout of a block.
   *
   * @param block name of the block
   * @param kind number of the dropout within the block
   */
  Dropout dropout(double probability, String block, int kind) {
    return new Dropout(probability, seed, block.hashCode() * DROPOUTS_OF_BLOCK + kind, step);
  }
}
