package org.unetrpp.training;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.unetrpp.sampling.Batch;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.weights.StoredTensor;

/** A trainer of three weights, whose every step depends on all steps and batches before it. */
public final class FakeTrainer implements Trainer {
  private static final List<StoredTensor> NETWORK = SmallModel.tensors(SmallModel.architecture(1));
  private static final String TRAINED = "out1.conv.conv.bias";

  private final float[] weights = {1, -0.5f, 0.25f};
  private final float[] velocity = new float[3];
  private final Duration stepTime;

  /** The learning rate of each step taken. */
  public final List<Double> learningRates = new ArrayList<>();

  /** From which step on the loss is NaN. */
  public long divergesAt = Long.MAX_VALUE;

  public FakeTrainer(Duration stepTime) {
    this.stepTime = stepTime;
  }

  @Override
  public StepReport step(Batch batch, long step, double learningRate) {
    pause();
    double loss = 0;
    double norm = 0;
    for (int i = 0; i < weights.length; i++) {
      double gradient = weights[i] - batch.image()[i] + 0.1 * Math.sin((double) step);
      velocity[i] = (float) (0.9 * velocity[i] + gradient);
      weights[i] -= (float) (learningRate * velocity[i]);
      loss += gradient * gradient;
      norm = Math.hypot(norm, gradient);
    }
    learningRates.add(learningRate);
    return new StepReport(step >= divergesAt ? Double.NaN : loss, List.of(loss, loss, loss), norm);
  }

  /** Class 2 is never there. */
  @Override
  public ValidationReport evaluate(Batch batch) {
    pause();
    int bits = Float.floatToIntBits(weights[0]) >>> 7;
    long[] found = {100, 10 + bits % 40, 0};
    long[] wrong = {5, batch.labels()[0], 0};
    return new ValidationReport(weights[1] + batch.image()[0], found, wrong, wrong);
  }

  private void pause() {
    try {
      Thread.sleep(stepTime);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public SequencedMap<String, float[]> snapshot() {
    SequencedMap<String, float[]> snapshot = new LinkedHashMap<>();
    snapshot.put("weights", weights.clone());
    snapshot.put("velocity", velocity.clone());
    return snapshot;
  }

  @Override
  public void restore(SequencedMap<String, float[]> snapshot) {
    float[] savedWeights = snapshot.get("weights");
    float[] savedVelocity = snapshot.get("velocity");
    if (savedWeights == null || savedVelocity == null) {
      throw new IllegalArgumentException("snapshot of another network");
    }
    System.arraycopy(savedWeights, 0, weights, 0, weights.length);
    System.arraycopy(savedVelocity, 0, velocity, 0, weights.length);
  }

  @Override
  public List<StoredTensor> tensors() {
    return NETWORK.stream()
        .map(tensor ->
            tensor.name().equals(TRAINED)
                ? StoredTensor.ofFloats(TRAINED, tensor.shape(), weights)
                : tensor)
        .toList();
  }

  @Override
  public void close() {}
}
