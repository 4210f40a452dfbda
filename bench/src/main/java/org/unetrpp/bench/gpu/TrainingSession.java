package org.unetrpp.bench.gpu;

import com.google.errorprone.annotations.MustBeClosed;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.benchmark.TrainingStep;
import org.unetrpp.loss.LossSettings;
import org.unetrpp.model.Architecture;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.planning.Optimization;
import org.unetrpp.sampling.Batch;
import org.unetrpp.training.NetworkTrainer;
import org.unetrpp.training.StepReport;

/**
 * A network in training with deterministic weights and batches. A step takes its batch from the
 * host's memory and gives its loss to the host.
 */
final class TrainingSession implements Session {
  private static final int BATCHES = 3;

  private final OpenDevice device;
  private final Architecture architecture;
  private final List<Batch> batches = new ArrayList<>();
  private final NetworkTrainer trainer;
  private long step;

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes them
  TrainingSession(OpenDevice device, Architecture architecture, int batch) {
    this.device = device;
    this.architecture = architecture;
    for (int i = 0; i < BATCHES; i++) {
      batches.add(TrainingStep.batch(architecture, batch, i));
    }
    trainer = trainer(architecture);
  }

  @MustBeClosed
  private NetworkTrainer trainer(Architecture of) {
    return new NetworkTrainer(
        device.backend(),
        of,
        LossSettings.published(true),
        Optimization.PUBLISHED,
        1,
        entry -> DeterministicTensor.ofState(entry.name(), entry.shape()));
  }

  @Override
  public OpenDevice device() {
    return device;
  }

  @Override
  public Runnable work(String mode) {
    if (!mode.equals("stream")) {
      throw new IllegalArgumentException("mode is " + mode);
    }
    return () -> {
      step(trainer, step);
      step++;
    };
  }

  private StepReport step(NetworkTrainer of, long number) {
    Batch batch = batches.get((int) (number % BATCHES));
    return of.step(batch, number, Optimization.PUBLISHED.learningRate());
  }

  /**
   * Losses and gradient norms of the first steps without dropout, and whether the state after steps
   * with dropout is the same bytes in two runs.
   */
  @Override
  public JsonObject check(Request request) {
    JsonArray losses = new JsonArray();
    JsonArray norms = new JsonArray();
    try (NetworkTrainer plain = trainer(architecture.withDropout(0, 0))) {
      for (int i = 0; i < BATCHES; i++) {
        StepReport report = step(plain, i);
        losses.add(report.loss());
        norms.add(report.gradientNorm());
      }
    }
    JsonArray states = new JsonArray();
    for (int run = 0; run < 2; run++) {
      try (NetworkTrainer dropping = trainer(architecture)) {
        for (int i = 0; i < BATCHES; i++) {
          step(dropping, i);
        }
        states.add(Digests.of(dropping.snapshot().values()));
      }
    }
    JsonObject result = new JsonObject();
    result.add("losses", losses);
    result.add("gradient_norms", norms);
    result.add("stream_sha256", states);
    return result;
  }

  @Override
  public void close() {
    trainer.close();
    device.close();
  }
}
