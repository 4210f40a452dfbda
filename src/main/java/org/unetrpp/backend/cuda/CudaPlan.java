package org.unetrpp.backend.cuda;

import java.util.function.Consumer;
import java.util.function.Supplier;
import org.unetrpp.backend.Plan;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.memory.ArenaLayout;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.Lifetimes;
import org.unetrpp.memory.MemoryScope;
import org.unetrpp.memory.PlacedAllocator;

/**
 * A computation as one graph of the device. It runs once as ever, so that kernels are loaded,
 * providers have been tried and chosen and weights are packed, and once more, so that it is known
 * how long what it allocates lives; then it is recorded, with everything at its place in one piece
 * of memory. It is recorded anew when a weight has changed that a pack was made of.
 */
final class CudaPlan implements Plan {
  private final CudaContext context;
  private final DeviceMemory memory;
  private final Supplier<Buffer> computation;
  private final ArenaLayout layout;
  private final long arena;
  private Recorded recorded;
  private boolean closed;

  /**
   * What a graph leaves where.
   *
   * @param version of the packs that it reads
   */
  private record Recorded(CudaDriver.Graph graph, Buffer result, long version) {}

  CudaPlan(CudaContext context, DeviceMemory memory, Supplier<Buffer> computation) {
    this.context = context;
    this.memory = memory;
    this.computation = computation;
    memory.allocating(memory.results(), this::compute); // trials allocate, too
    Lifetimes lifetimes = new Lifetimes(memory.results());
    memory.allocating(lifetimes, () -> context.branches().planned(this::compute));
    context.driver().synchronize(context.stream());
    layout = lifetimes.layout();
    memory.trim();
    arena = memory.results().allocate(layout.bytes());
    try {
      recorded = record();
    } catch (RuntimeException e) {
      memory.results().release(arena, layout.bytes());
      throw e;
    }
  }

  /** The result, whose memory is not its own any more. */
  private Buffer compute() {
    try (MemoryScope _ = context.scopes().open()) {
      return computation.get();
    }
  }

  private Recorded record() {
    CudaDriver driver = context.driver();
    driver.beginCapture(context.stream());
    Buffer result;
    try {
      result =
          memory.allocating(
              new PlacedAllocator(layout, arena), () -> context.branches().recorded(this::compute));
    } catch (RuntimeException e) {
      try {
        driver.destroy(driver.endCapture(context.stream()));
      } catch (RuntimeException incomplete) {
        e.addSuppressed(incomplete);
      }
      throw e;
    }
    return new Recorded(driver.endCapture(context.stream()), result, context.packs().version());
  }

  @Override
  public void run(Consumer<Buffer> consumer) {
    if (closed) {
      throw new IllegalStateException("the plan is closed");
    }
    if (recorded.version() != context.packs().version()) {
      memory.allocating(memory.results(), this::compute); // packs weights anew
      CudaDriver.Graph stale = recorded.graph();
      recorded = record();
      context.driver().destroy(stale);
    }
    context.driver().launch(recorded.graph(), context.stream());
    consumer.accept(recorded.result());
  }

  @Override
  public long arenaBytes() {
    return layout.bytes();
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      context.driver().destroy(recorded.graph());
      memory.results().release(arena, layout.bytes());
    }
  }
}
