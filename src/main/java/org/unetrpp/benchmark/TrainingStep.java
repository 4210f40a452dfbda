package org.unetrpp.benchmark;

import com.google.errorprone.annotations.MustBeClosed;
import org.unetrpp.backend.Backend;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.grid.Extents;
import org.unetrpp.loss.LossSettings;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.planning.Optimization;
import org.unetrpp.sampling.Batch;
import org.unetrpp.training.NetworkTrainer;
import org.unetrpp.training.StepReport;

/**
 * A network in training as published, with the weights and the batch of {@link
 * DeterministicTensor}: targets are constant over blocks of 4 x 8 x 8 voxels.
 */
public final class TrainingStep implements AutoCloseable {
  private static final Extents BLOCK = new Extents(4, 8, 8);

  private final Backend backend;
  private final NetworkTrainer trainer;
  private final Batch batch;
  private long step;

  /**
   * Opens a device and fills the network.
   *
   * @param threads of the CPU
   * @param computeType of activations
   * @throws org.unetrpp.engine.DeviceUnavailableException if this machine does not have the device
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes them
  public TrainingStep(
      Architecture architecture, int batchSize, Device device, int threads, DType computeType) {
    backend = Engine.open(device, threads, computeType);
    trainer =
        new NetworkTrainer(
            backend,
            architecture,
            LossSettings.published(true),
            Optimization.PUBLISHED,
            1,
            entry -> DeterministicTensor.ofState(entry.name(), entry.shape()));
    batch = batch(architecture, batchSize, 0);
  }

  /** The batch of a training step, made from names alone. */
  public static Batch batch(Architecture architecture, int size, int step) {
    Extents patch = architecture.patch();
    int channels = architecture.inputChannels();
    int voxels = Math.toIntExact(patch.voxels());
    float[] image = DeterministicTensor.input("step" + step + "/input", size * channels * voxels);
    Extents blocks = patch.dividedBy(BLOCK);
    int classes = architecture.classes();
    float[] uniform =
        DeterministicTensor.values(
            "step" + step + "/target", Math.toIntExact(size * blocks.voxels()), 0.5, 0.5);
    short[] labels = new short[size * voxels];
    for (int i = 0; i < labels.length; i++) {
      int w = i % patch.width() / BLOCK.width();
      int h = i / patch.width() % patch.height() / BLOCK.height();
      int d = i / patch.width() / patch.height() % patch.depth() / BLOCK.depth();
      int item = i / voxels;
      int at = ((item * blocks.depth() + d) * blocks.height() + h) * blocks.width() + w;
      labels[i] = (short) Math.min((int) Math.floor(uniform[at] * (double) classes), classes - 1);
    }
    return new Batch(size, channels, patch, image, labels);
  }

  /** The device, its instruction set and its libraries, in a line. */
  public String describe() {
    return Engine.describe(backend);
  }

  /** One step: forward, loss of all heads, backward, clipping, update of the weights. */
  public StepReport run() {
    StepReport report = trainer.step(batch, step, Optimization.PUBLISHED.learningRate());
    step++;
    return report;
  }

  @Override
  public void close() {
    trainer.close();
    backend.close();
  }
}
