package org.unetrpp.backend;

import java.util.function.Consumer;
import java.util.function.Supplier;
import org.unetrpp.memory.Buffer;

/** The plan of a backend that plans nothing: the computation, called again each time. */
record RepeatedComputation(Backend backend, Supplier<Buffer> computation) implements Plan {
  @Override
  public void run(Consumer<Buffer> consumer) {
    try (var _ = backend.scopes().open()) {
      consumer.accept(computation.get());
    }
  }

  @Override
  public long arenaBytes() {
    return 0;
  }

  @Override
  public void close() {}
}
