package org.unetrpp.bench.peers;

import org.unetrpp.benchmark.TrainingStep;
import org.unetrpp.engine.Device;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;
import org.unetrpp.training.StepReport;

/**
 * The project's own engine in training. What is compared is a step without dropout, which no two
 * programs draw alike; what is timed has dropout.
 */
final class TrainingContestant implements Contestant {
  private final TrainingStep step;
  private final NpyFile.Deviation deviation;

  @SuppressWarnings("MustBeClosedChecker") // close closes it
  private TrainingContestant(Setup setup) {
    Architecture architecture = Architecture.published(setup.variant()).orElseThrow();
    try (TrainingStep plain = open(setup, architecture.withDropout(0, 0))) {
      StepReport report = plain.run();
      deviation = setup.expectedStep().deviation(report.loss(), report.gradientNorm());
    }
    step = open(setup, architecture);
  }

  @SuppressWarnings("MustBeClosedChecker") // the caller closes what is returned
  private static TrainingStep open(Setup setup, Architecture architecture) {
    int batch = setup.what().batchSize(setup.variant());
    return new TrainingStep(architecture, batch, new Device.Cpu(), setup.threads(), DType.FLOAT32);
  }

  static Contestant open(Setup setup) {
    return new TrainingContestant(setup);
  }

  @Override
  public String version() {
    return step.describe();
  }

  @Override
  public void pass() {
    step.run();
  }

  @Override
  public NpyFile.Deviation deviation() {
    return deviation;
  }

  @Override
  public void close() {
    step.close();
  }
}
