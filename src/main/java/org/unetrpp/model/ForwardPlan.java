package org.unetrpp.model;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.Plan;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;
import org.unetrpp.window.WindowEngine;

/**
 * A network's forward pass over a batch of patches, planned once and repeated: everything between
 * image and result has its place, and on the CPU a pass makes no objects and touches no fresh
 * memory. It owns the network's parameters and opens a memory scope of its own, so plans close in
 * the order of memory scopes.
 */
public final class ForwardPlan implements AutoCloseable {
  private final Backend backend;
  private final Parameters parameters;
  private final UnetrPlusPlus network;
  private final HeadOutput output;
  private final MemoryScope scope;
  private final Buffer image;
  private final @Nullable MemorySegment imageView; // if the host can write it in place
  private final Plan plan;
  private final Arena arena = Arena.ofShared();
  private final Consumer<Buffer> receiving = this::receive;
  private Consumer<MemorySegment> receiver = _ -> {}; // of the present pass
  private @Nullable Buffer shownOutput;
  private @Nullable MemorySegment view; // of that, if the host can read it in place
  private @Nullable MemorySegment staged; // a copy of it otherwise

  /**
   * Plans a pass.
   *
   * @param parameters of the network; the plan closes them, and nobody else may read them
   * @param batch patches of a pass
   */
  @SuppressWarnings("MustBeClosedChecker") // close closes it
  public ForwardPlan(
      Architecture architecture, Parameters parameters, int batch, HeadOutput output) {
    this.parameters = parameters;
    this.output = output;
    backend = parameters.backend();
    network = new UnetrPlusPlus(architecture, parameters);
    scope = backend.scopes().open();
    try {
      Tensor input = Tensor.uninitialized(backend, shape(architecture, batch));
      image = input.buffer();
      imageView = backend.hostView(image);
      plan = backend.plan(() -> network.forward(input, output).buffer(), parameters.buffers());
    } catch (RuntimeException e) {
      scope.close();
      arena.close();
      throw e;
    }
  }

  private static Shape shape(Architecture architecture, int batch) {
    Extents patch = architecture.patch();
    return Shape.of(
        batch, architecture.inputChannels(), patch.depth(), patch.height(), patch.width());
  }

  /**
   * The same network for windows of images that stay on its device, if that takes them. It is
   * closed before this plan.
   */
  public Optional<WindowEngine> windows() {
    Architecture architecture = network.architecture();
    return backend.windows(
        architecture.inputChannels(), architecture.classes(), architecture.patch(), this::predict);
  }

  /** The result for patches of the device, in the innermost memory scope. */
  private Buffer predict(Buffer patches) {
    Architecture architecture = network.architecture();
    long values = architecture.inputChannels() * architecture.patch().voxels();
    int batch = Math.toIntExact(patches.elements() / values);
    Tensor input = Tensor.over(backend, patches, shape(architecture, batch));
    return network.forward(input, output).buffer();
  }

  /**
   * Computes one pass.
   *
   * @param patches (B, C, D, H, W), float32 in native memory
   * @param result is given (B, K, D, H, W), float32 in native memory, which holds until the next
   *     pass of a plan on this device
   * @throws IllegalArgumentException if the patches have another size
   */
  public void run(MemorySegment patches, Consumer<MemorySegment> result) {
    if (patches.byteSize() != image.elements() * Float.BYTES) {
      throw new IllegalArgumentException(
          "%d bytes of patches, expected %d"
              .formatted(patches.byteSize(), image.elements() * Float.BYTES));
    }
    if (imageView == null) {
      backend.upload(patches, image);
    } else {
      MemorySegment.copy(patches, 0, imageView, 0, imageView.byteSize());
    }
    receiver = result;
    plan.run(receiving);
  }

  private void receive(Buffer output) {
    if (!output.equals(shownOutput)) {
      shownOutput = output;
      MemorySegment values = backend.hostView(output);
      view = values == null ? null : values.asReadOnly();
    }
    if (view == null) {
      if (staged == null) {
        staged = arena.allocate(ValueLayout.JAVA_FLOAT, output.elements());
      }
      backend.download(output, staged);
      receiver.accept(staged);
    } else {
      receiver.accept(view);
    }
  }

  /** Bytes that all tensors between image and result, and the result, lie in; 0 if unplanned. */
  public long arenaBytes() {
    return plan.arenaBytes();
  }

  @Override
  public void close() {
    plan.close();
    scope.close();
    parameters.close();
    arena.close();
  }
}
