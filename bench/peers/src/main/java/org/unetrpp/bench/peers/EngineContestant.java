package org.unetrpp.bench.peers;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkState;
import org.unetrpp.model.UnetrPlusPlus;
import org.unetrpp.nn.Parameters;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/** The project's own engine as a contestant. */
final class EngineContestant implements Contestant {
  private final Backend backend;
  private final MemoryScope scope;
  private final Parameters parameters;
  private final UnetrPlusPlus network;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment patch;
  private final MemorySegment logits;
  private boolean computed;

  @SuppressWarnings("MustBeClosedChecker") // close closes them
  private EngineContestant(Setup setup) {
    Architecture architecture = Architecture.published(setup.variant()).orElseThrow();
    backend = Engine.open(new Device.Cpu(), setup.threads());
    scope = backend.scopes().open();
    parameters = NetworkState.deterministic(backend, architecture);
    network = new UnetrPlusPlus(architecture, parameters);
    patch = setup.input().read(arena);
    logits = arena.allocate(setup.expectedLogits().bytes(), ValueLayout.JAVA_FLOAT.byteSize());
  }

  static Contestant open(Setup setup) {
    return new EngineContestant(setup);
  }

  @Override
  public String version() {
    return Engine.report().getFirst();
  }

  @Override
  public void forward() {
    Architecture architecture = network.architecture();
    Extents extents = architecture.patch();
    Shape shape =
        Shape.of(
            1, architecture.inputChannels(), extents.depth(), extents.height(), extents.width());
    try (var _ = backend.scopes().open()) {
      Tensor image = Tensor.uninitialized(backend, shape);
      backend.upload(patch, image.buffer());
      Tensor result = network.forward(image, HeadOutput.LOGITS);
      backend.download(result.buffer(), logits);
    }
    computed = true;
  }

  @Override
  public MemorySegment logits() {
    if (!computed) {
      throw new IllegalStateException("logits asked for before the first pass");
    }
    return logits;
  }

  @Override
  public void close() {
    parameters.close();
    scope.close();
    backend.close();
    arena.close();
  }
}
