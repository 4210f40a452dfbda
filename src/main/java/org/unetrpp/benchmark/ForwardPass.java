package org.unetrpp.benchmark;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.ForwardPlan;
import org.unetrpp.model.NetworkState;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.nn.Parameters;

/**
 * A network with the weights and the input of {@link DeterministicTensor}, ready to run again and
 * again, from an input in host memory to logits in host memory.
 */
public final class ForwardPass implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final Backend backend;
  private final MemoryScope scope;
  private final ForwardPlan plan;
  private final MemorySegment image;
  private final Consumer<MemorySegment> keeping = this::keep;
  private @Nullable MemorySegment logits; // of the last pass

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
    Parameters parameters = NetworkState.deterministic(backend, architecture);
    plan = new ForwardPlan(architecture, parameters, 1, HeadOutput.LOGITS);
    long voxels = architecture.patch().voxels();
    int inputs = Math.toIntExact(voxels * architecture.inputChannels());
    image = arena.allocateFrom(ValueLayout.JAVA_FLOAT, DeterministicTensor.input("input", inputs));
  }

  /** The device, its instruction set and its libraries, in a line. */
  public String describe() {
    return Engine.describe(backend);
  }

  /** One forward pass: the patch (1, C, D, H, W) goes in, the logits (1, K, D, H, W) come out. */
  public void run() {
    plan.run(image, keeping);
  }

  private void keep(MemorySegment result) {
    logits = result;
  }

  /**
   * The logits of the last pass: (1, K, D, H, W), row-major, float32 in native byte order. They
   * hold until the next.
   *
   * @throws IllegalStateException before the first pass
   */
  public MemorySegment logits() {
    if (logits == null) {
      throw new IllegalStateException("logits asked for before the first pass");
    }
    return logits.asReadOnly();
  }

  @Override
  public void close() {
    plan.close();
    scope.close();
    backend.close();
    arena.close();
  }
}
