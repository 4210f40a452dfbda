package org.unetrpp.training;

import java.util.List;
import java.util.SequencedMap;
import org.unetrpp.sampling.Batch;
import org.unetrpp.weights.StoredTensor;

/**
 * A network in training: its parameters, their optimizer's state, and the steps that change them.
 */
public interface Trainer extends AutoCloseable {
  /**
   * Trains on one batch.
   *
   * @param step number of the step in the whole run, from 0; decides what dropout drops
   * @param learningRate of this step
   */
  StepReport step(Batch batch, long step, double learningRate);

  /** Predicts a batch in evaluation mode. */
  ValidationReport evaluate(Batch batch);

  /**
   * All that changes from step to step, in flat arrays by name: enough to go on as if the run had
   * not ended.
   */
  SequencedMap<String, float[]> snapshot();

  /**
   * Goes back to a snapshot.
   *
   * @throws IllegalArgumentException if it is that of another network or optimizer; the message
   *     says what differs
   */
  void restore(SequencedMap<String, float[]> snapshot);

  /** The network's state under published names, as a model file holds it. */
  List<StoredTensor> tensors();

  @Override
  void close();
}
