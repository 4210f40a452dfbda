package org.unetrpp.bench.peers;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The project's own engine as a contestant. */
final class EngineContestant implements Contestant {
  /** A network of the engine, opened for patches of one size. */
  interface PatchNetwork extends AutoCloseable {
    /**
     * Computes the logits of one patch.
     *
     * @param patch (C, D, H, W), row-major float32
     * @param logits (K, D, H, W), row-major float32, overwritten
     */
    void forward(MemorySegment patch, MemorySegment logits);

    @Override
    void close();
  }

  private final String version;
  private final PatchNetwork network;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment patch;
  private final MemorySegment logits;
  private boolean computed;

  /** Takes {@code network} over, to be closed with the contestant. */
  EngineContestant(String version, PatchNetwork network, Setup setup) {
    this.version = version;
    this.network = network;
    patch = setup.input().read(arena);
    logits = arena.allocate(setup.expectedLogits().bytes(), ValueLayout.JAVA_FLOAT.byteSize());
  }

  @Override
  public String version() {
    return version;
  }

  @Override
  public void forward() {
    network.forward(patch, logits);
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
    network.close();
    arena.close();
  }
}
