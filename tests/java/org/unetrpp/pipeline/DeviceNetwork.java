package org.unetrpp.pipeline;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.Consumer;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.window.WindowEngine;

/**
 * A 3x3x3 convolution and a head on a device: what a voxel gets depends on its neighbors, by axis
 * and direction, and not on the other items of a batch.
 */
final class DeviceNetwork implements PatchPredictor, AutoCloseable {
  private static final int FEATURES = 5;

  private final Backend backend;
  private final int channels;
  private final int classes;
  private final Extents patch;
  private final MemoryScope scope;
  private final Buffer weight;
  private final HeadParameters head;
  private final WindowEngine engine;
  private boolean resident = true;
  private int patches;

  @SuppressWarnings("MustBeClosedChecker") // close closes it
  DeviceNetwork(Backend backend, int channels, int classes, Extents patch) {
    this.backend = backend;
    this.channels = channels;
    this.classes = classes;
    this.patch = patch;
    scope = backend.scopes().open();
    weight = parameter("convolution", FEATURES * channels * 27, 1);
    head =
        new HeadParameters(
            "head",
            FEATURES,
            classes,
            parameter("head", classes * FEATURES, 1),
            parameter("bias", classes, 0.1));
    engine = backend.windows(channels, classes, patch, this::network).orElseThrow();
  }

  private Buffer parameter(String name, int count, double deviation) {
    Buffer buffer = backend.scopes().allocate(backend.parameterType(), count);
    backend.upload(DeterministicTensor.values(name, count, 0, deviation), buffer);
    return buffer;
  }

  private Buffer network(Buffer images) {
    int batch = Math.toIntExact(images.elements() / (channels * patch.voxels()));
    Grid grid = new Grid(batch, patch);
    Buffer x = allocate(batch, channels);
    backend.channelsLast(images, x, grid, channels);
    Buffer y = allocate(batch, FEATURES);
    backend.convolution(x, weight, null, y, grid, Convolution.same3(channels, FEATURES));
    Buffer probabilities = allocate(batch, classes);
    backend.boxes().head(y, head, HeadOutput.PROBABILITIES, probabilities, grid);
    return probabilities;
  }

  private Buffer allocate(int batch, int count) {
    return backend.scopes().allocate(backend.computeType(), (long) batch * count * patch.voxels());
  }

  /** The same, whose windows are added up on the host. */
  DeviceNetwork onHost(boolean onHost) {
    resident = !onHost;
    return this;
  }

  /** Patches that came from the host. */
  int patches() {
    return patches;
  }

  /** Gives a weight that all probabilities depend on another value. */
  void changeWeight(float value) {
    float[] values = backend.download(weight);
    values[0] = value;
    backend.upload(values, weight);
  }

  @Override
  public int channels() {
    return channels;
  }

  @Override
  public int classes() {
    return classes;
  }

  @Override
  public Extents patch() {
    return patch;
  }

  @Override
  public void predict(MemorySegment input, Consumer<MemorySegment> consumer) {
    patches++;
    try (var _ = backend.scopes().open();
        Arena arena = Arena.ofShared()) {
      Buffer images = allocate(1, channels);
      backend.upload(input, images);
      MemorySegment values = arena.allocate(JAVA_FLOAT, classes * patch.voxels());
      backend.download(network(images), values);
      consumer.accept(values);
    }
  }

  @Override
  public Optional<WindowEngine> windows() {
    return resident ? Optional.of(engine) : Optional.empty();
  }

  @Override
  public void close() {
    engine.close();
    scope.close();
  }
}
