package org.unetrpp.bench.peers;

import org.unetrpp.benchmark.ForwardPass;
import org.unetrpp.engine.Device;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;

/** The project's own engine; its input is the one of the exports, made from the same name. */
final class EngineContestant implements Contestant {
  private final Setup setup;
  private final ForwardPass pass;

  @SuppressWarnings("MustBeClosedChecker") // close closes it
  private EngineContestant(Setup setup) {
    this.setup = setup;
    Architecture architecture = Architecture.published(setup.variant()).orElseThrow();
    pass = new ForwardPass(architecture, new Device.Cpu(), setup.threads(), DType.FLOAT32);
  }

  static Contestant open(Setup setup) {
    return new EngineContestant(setup);
  }

  @Override
  public String version() {
    return pass.describe();
  }

  @Override
  public void pass() {
    pass.run();
  }

  @Override
  public NpyFile.Deviation deviation() {
    return setup.expectedLogits().deviation(pass.logits());
  }

  @Override
  public void close() {
    pass.close();
  }
}
