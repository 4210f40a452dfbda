package org.unetrpp.inference;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.ForwardPlan;
import org.unetrpp.nn.Parameters;
import org.unetrpp.pipeline.PatchPredictor;

/**
 * A network on a device as the sliding window sees it. Threads may share it: they take turns, patch
 * by patch, and each patch has all of the device.
 */
final class NetworkPredictor implements PatchPredictor, AutoCloseable {
  private final Architecture architecture;
  private final ForwardPlan plan;
  private final ReentrantLock turn = new ReentrantLock(true);

  /** Over parameters that the predictor closes. */
  NetworkPredictor(Architecture architecture, Parameters parameters) {
    this.architecture = architecture;
    plan = new ForwardPlan(architecture, parameters, 1, HeadOutput.PROBABILITIES);
  }

  @Override
  public int channels() {
    return architecture.inputChannels();
  }

  @Override
  public int classes() {
    return architecture.classes();
  }

  @Override
  public Extents patch() {
    return architecture.patch();
  }

  @Override
  public void predict(MemorySegment input, Consumer<MemorySegment> consumer) {
    turn.lock();
    try {
      plan.run(input, consumer);
    } finally {
      turn.unlock();
    }
  }

  @Override
  public void close() {
    plan.close();
  }
}
