package org.unetrpp.bench.peers;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.HostMemory;
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
  private @Nullable Pass last;

  /** A pass whose logits are looked at where they lie, until the next. */
  private record Pass(MemoryScope scope, Tensor logits) {}

  @SuppressWarnings("MustBeClosedChecker") // close closes them
  private EngineContestant(Setup setup) {
    Architecture architecture = Architecture.published(setup.variant()).orElseThrow();
    backend = Engine.open(new Device.Cpu(), setup.threads());
    scope = backend.scopes().open();
    parameters = NetworkState.deterministic(backend, architecture);
    network = new UnetrPlusPlus(architecture, parameters);
    patch = setup.input().read(arena);
  }

  static Contestant open(Setup setup) {
    return new EngineContestant(setup);
  }

  @Override
  public String version() {
    return Engine.report().getFirst();
  }

  @Override
  @SuppressWarnings("MustBeClosedChecker") // the next pass or close closes it
  public void forward() {
    forget();
    Architecture architecture = network.architecture();
    Extents extents = architecture.patch();
    Shape shape =
        Shape.of(
            1, architecture.inputChannels(), extents.depth(), extents.height(), extents.width());
    MemoryScope pass = backend.scopes().open();
    Tensor image = Tensor.uninitialized(backend, shape);
    backend.upload(patch, image.buffer());
    last = new Pass(pass, network.forward(image, HeadOutput.LOGITS));
  }

  private void forget() {
    if (last != null) {
      last.scope().close();
      last = null;
    }
  }

  @Override
  public MemorySegment logits() {
    if (last == null) {
      throw new IllegalStateException("logits asked for before the first pass");
    }
    return HostMemory.segment(last.logits().buffer());
  }

  @Override
  public void close() {
    forget();
    parameters.close();
    scope.close();
    backend.close();
    arena.close();
  }
}
