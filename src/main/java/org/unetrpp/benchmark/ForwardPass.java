package org.unetrpp.benchmark;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkState;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * A network with the weights and the input of {@link DeterministicTensor}, ready to run again and
 * again. Input and logits lie in host memory that stays; a pass goes from one to the other.
 */
public final class ForwardPass implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final Backend backend;
  private final MemoryScope scope;
  private final Parameters parameters;
  private final UnetrPlusPlus network;
  private final Shape shape;
  private final MemorySegment image;
  private final MemorySegment logits;
  private boolean computed;

  /**
   * Opens a device and fills the network.
   *
   * @param threads of the CPU
   * @param computeType of activations
   * @throws org.unetrpp.engine.DeviceUnavailableException if this machine does not have the device
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // close closes them
  public ForwardPass(Architecture architecture, Device device, int threads, DType computeType) {
    backend = Engine.open(device, threads, computeType);
    scope = backend.scopes().open();
    parameters = NetworkState.deterministic(backend, architecture);
    network = new UnetrPlusPlus(architecture, parameters);
    Extents patch = architecture.patch();
    shape = Shape.of(1, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
    float[] values = DeterministicTensor.input("input", Math.toIntExact(shape.elements()));
    image = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
    logits = arena.allocate(ValueLayout.JAVA_FLOAT, patch.voxels() * architecture.classes());
  }

  /** The device, its instruction set and its libraries, in a line. */
  public String describe() {
    return Engine.describe(backend);
  }

  /** One forward pass: the patch (1, C, D, H, W) goes in, the logits (1, K, D, H, W) come out. */
  public void run() {
    try (var _ = backend.scopes().open()) {
      Tensor patch = Tensor.uninitialized(backend, shape);
      backend.upload(image, patch.buffer());
      Tensor result = network.forward(patch, HeadOutput.LOGITS);
      backend.download(result.buffer(), logits);
    }
    computed = true;
  }

  /**
   * The logits of the last pass: (1, K, D, H, W), row-major, float32 in native byte order.
   *
   * @throws IllegalStateException before the first pass
   */
  public MemorySegment logits() {
    if (!computed) {
      throw new IllegalStateException("logits asked for before the first pass");
    }
    return logits.asReadOnly();
  }

  @Override
  public void close() {
    parameters.close();
    scope.close();
    backend.close();
    arena.close();
  }
}
