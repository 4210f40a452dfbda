package org.unetrpp.optim;

import java.util.SequencedMap;
import org.unetrpp.memory.Buffer;

/** Updates parameters that lie in one run of memory, from gradients at the same places. */
public interface Optimizer {
  /**
   * Clips the gradients to the longest norm allowed and updates the parameters.
   *
   * @param learningRate of this step
   * @param step number of the step, from 0
   * @return Euclidean norm of the gradients before they were clipped
   */
  double step(double learningRate, long step);

  /** What is remembered from step to step, by name; of the size of the parameters each. */
  SequencedMap<String, Buffer> state();
}
