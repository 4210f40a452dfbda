package org.unetrpp.optim;

import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.memory.Buffer;

/** Stochastic gradient descent with Nesterov's momentum and weight decay. */
public final class Sgd implements Optimizer {
  private final Backend backend;
  private final Buffer values;
  private final Buffer gradients;
  private final Buffer velocity;
  private final double momentum;
  private final double weightDecay;
  private final double longest;

  /**
   * Its velocity lives in the innermost memory scope.
   *
   * @param longest norm that gradients are clipped to
   */
  public Sgd(
      Backend backend,
      Buffer values,
      Buffer gradients,
      double momentum,
      double weightDecay,
      double longest) {
    this.backend = backend;
    this.values = values;
    this.gradients = gradients;
    this.momentum = momentum;
    this.weightDecay = weightDecay;
    this.longest = longest;
    velocity = backend.scopes().allocate(values.dtype(), values.elements());
    backend.training().clear(velocity);
  }

  @Override
  public double step(double learningRate, long step) {
    Clipping clipping = Clipping.of(backend.training().sumOfSquares(gradients), longest);
    backend
        .training()
        .sgd(
            values,
            gradients,
            velocity,
            new SgdUpdate(learningRate, momentum, weightDecay, clipping.scale()));
    return clipping.norm();
  }

  @Override
  public SequencedMap<String, Buffer> state() {
    SequencedMap<String, Buffer> state = new LinkedHashMap<>();
    state.put("velocity", velocity);
    return state;
  }
}
