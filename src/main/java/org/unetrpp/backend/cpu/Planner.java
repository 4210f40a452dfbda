package org.unetrpp.backend.cpu;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.PackCache;
import org.unetrpp.backend.Plan;
import org.unetrpp.memory.Allocator;
import org.unetrpp.memory.ArenaLayout;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.HostAllocator;
import org.unetrpp.memory.Lifetimes;
import org.unetrpp.memory.Pages;
import org.unetrpp.memory.PlacedAllocator;
import org.unetrpp.memory.ScopeStack;

/**
 * Makes plans. The computation is called twice without computing anything: once to learn how long
 * what it allocates lives, which gives everything its place in one piece of memory, and once more
 * to note its steps on these places.
 */
final class Planner {
  private final HostAllocator memory;
  private final PackCache packs;
  private final Map<Long, SharedArena> arenas = new HashMap<>(); // by their bytes
  private Allocator allocator;
  private @Nullable List<Runnable> steps; // of the plan that is being made

  /** Plans that lie in {@code memory} and whose steps read {@code packs}. */
  Planner(HostAllocator memory, PackCache packs) {
    this.memory = memory;
    this.packs = packs;
    allocator = memory;
  }

  /** Who allocates now. */
  Allocator allocator() {
    return allocator;
  }

  boolean isPlanning() {
    return steps != null;
  }

  /** Does a step now or, while a plan is made, notes it. */
  void perform(Runnable step) {
    if (steps == null) {
      step.run();
    } else {
      steps.add(step);
    }
  }

  /**
   * Plans what allocates in {@code scopes}.
   *
   * @param spent parameters that only plans will read from now on
   */
  Plan plan(ScopeStack scopes, Supplier<Buffer> computation, List<Buffer> spent) {
    Lifetimes lifetimes = Lifetimes.ofNothing();
    note(lifetimes, scopes, computation);
    for (Buffer buffer : spent) {
      if (packs.spend(buffer)) {
        Pages.discard(buffer.address(), buffer.bytes());
      }
    }
    return new CpuPlan(scopes, computation, lifetimes.layout());
  }

  /**
   * What a computation does.
   *
   * @param version of the packs that the steps read
   */
  private record Noted(Runnable[] steps, Buffer result, long version) {}

  private Noted note(Allocator places, ScopeStack scopes, Supplier<Buffer> computation) {
    if (isPlanning()) {
      throw new IllegalStateException("a plan within a plan");
    }
    steps = new ArrayList<>();
    allocator = places;
    try (var _ = scopes.open()) {
      Buffer result = computation.get();
      return new Noted(steps.toArray(Runnable[]::new), result, packs.version());
    } finally {
      steps = null;
      allocator = memory;
    }
  }

  /** Memory of plans of one size, such as those of networks that are averaged. */
  private static final class SharedArena {
    private final long address;
    private int plans;

    SharedArena(long address) {
      this.address = address;
    }
  }

  /** Address of the memory that plans of this size share: one runs at a time. */
  private long share(long bytes) {
    SharedArena arena =
        arenas.computeIfAbsent(bytes, size -> new SharedArena(memory.allocate(size)));
    arena.plans++;
    return arena.address;
  }

  private void leave(long bytes) {
    SharedArena arena = Objects.requireNonNull(arenas.get(bytes));
    arena.plans--;
    if (arena.plans == 0) {
      arenas.remove(bytes);
      memory.release(arena.address, bytes);
    }
  }

  /** Steps on fixed places. They are noted anew when a weight that they read has changed. */
  private final class CpuPlan implements Plan {
    private final ScopeStack scopes;
    private final Supplier<Buffer> computation;
    private final ArenaLayout layout;
    private final long arena;
    private Noted noted;
    private boolean closed;

    CpuPlan(ScopeStack scopes, Supplier<Buffer> computation, ArenaLayout layout) {
      this.scopes = scopes;
      this.computation = computation;
      this.layout = layout;
      arena = share(layout.bytes());
      try {
        noted = note();
      } catch (RuntimeException e) {
        leave(layout.bytes());
        throw e;
      }
    }

    private Noted note() {
      return Planner.this.note(new PlacedAllocator(layout, arena), scopes, computation);
    }

    @Override
    public void run(Consumer<Buffer> consumer) {
      if (closed) {
        throw new IllegalStateException("the plan is closed");
      }
      if (noted.version() != packs.version()) {
        noted = note();
      }
      for (Runnable step : noted.steps()) {
        step.run();
      }
      consumer.accept(noted.result());
    }

    @Override
    public long arenaBytes() {
      return layout.bytes();
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        leave(layout.bytes());
      }
    }
  }
}
