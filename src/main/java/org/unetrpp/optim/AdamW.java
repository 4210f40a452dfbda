package org.unetrpp.optim;

import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.Backend;
import org.unetrpp.memory.Buffer;

/** Adam with decoupled weight decay (Loshchilov and Hutter 2019). */
public final class AdamW implements Optimizer {
  private static final double BETA_1 = 0.9;
  private static final double BETA_2 = 0.999;
  private static final double EPSILON = 1e-8;

  private final Backend backend;
  private final Buffer values;
  private final Buffer gradients;
  private final Buffer first;
  private final Buffer second;
  private final double weightDecay;
  private final double longest;

  /**
   * Its moments live in the innermost memory scope.
   *
   * @param longest norm that gradients are clipped to
   */
  public AdamW(
      Backend backend, Buffer values, Buffer gradients, double weightDecay, double longest) {
    this.backend = backend;
    this.values = values;
    this.gradients = gradients;
    this.weightDecay = weightDecay;
    this.longest = longest;
    first = backend.scopes().allocate(values.dtype(), values.elements());
    second = backend.scopes().allocate(values.dtype(), values.elements());
    backend.training().clear(first);
    backend.training().clear(second);
  }

  @Override
  public double step(double learningRate, long step) {
    Clipping clipping = Clipping.of(backend.training().sumOfSquares(gradients), longest);
    AdamUpdate update =
        new AdamUpdate(
            learningRate, BETA_1, BETA_2, EPSILON, weightDecay, clipping.scale(), step + 1);
    backend.training().adamW(values, gradients, first, second, update);
    return clipping.norm();
  }

  @Override
  public SequencedMap<String, Buffer> state() {
    SequencedMap<String, Buffer> state = new LinkedHashMap<>();
    state.put("first moment", first);
    state.put("second moment", second);
    return state;
  }
}
