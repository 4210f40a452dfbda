package org.unetrpp.bench;

import com.google.errorprone.annotations.MustBeClosed;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkState;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * A published network with the weights and the input of {@link DeterministicTensor}, ready to run
 * again and again.
 */
public final class ForwardPass implements AutoCloseable {
  private final Backend backend;
  private final MemoryScope scope;
  private final Parameters parameters;
  private final UnetrPlusPlus network;
  private final float[] image;

  /** Opens the CPU and fills the network. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes them
  public ForwardPass(String variant, int threads) {
    Architecture architecture = Architecture.published(variant).orElseThrow();
    backend = Engine.open(new Device.Cpu(), threads);
    scope = backend.scopes().open();
    parameters = NetworkState.deterministic(backend, architecture);
    network = new UnetrPlusPlus(architecture, parameters);
    image = DeterministicTensor.input("input", Math.toIntExact(shape(architecture).elements()));
  }

  /** One forward pass: the patch (1, C, D, H, W) goes in, the logits (1, K, D, H, W) come out. */
  public float[] run() {
    try (var _ = backend.scopes().open()) {
      Tensor patch = Tensor.of(backend, shape(network.architecture()), image);
      return network.forward(patch, HeadOutput.LOGITS).toArray();
    }
  }

  private static Shape shape(Architecture architecture) {
    Extents patch = architecture.patch();
    return Shape.of(1, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
  }

  @Override
  public void close() {
    parameters.close();
    scope.close();
    backend.close();
  }
}
