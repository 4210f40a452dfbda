package org.unetrpp.memory;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Notes how long each block lives that it hands out. What it was asked for, a {@link
 * PlacedAllocator} then answers with places in one piece of memory.
 */
public final class Lifetimes implements Allocator {
  private static final int LIVING = Integer.MAX_VALUE;

  private final Allocator memory;
  private final List<ArenaLayout.Block> blocks = new ArrayList<>();
  private final Map<Long, Integer> living = new HashMap<>(); // blocks by address
  private int events;

  /** Of blocks of {@code memory}. */
  public Lifetimes(Allocator memory) {
    this.memory = memory;
  }

  /** Of blocks behind whose addresses there is no memory. */
  public static Lifetimes ofNothing() {
    return new Lifetimes(new Nothing());
  }

  @Override
  public long allocate(long bytes) {
    long address = memory.allocate(bytes);
    living.put(address, blocks.size());
    blocks.add(new ArenaLayout.Block(bytes, events++, LIVING));
    return address;
  }

  @Override
  public void release(long address, long bytes) {
    Integer block = living.remove(address);
    if (block == null) {
      throw new IllegalStateException("no block starts at address " + address);
    }
    blocks.set(block, new ArenaLayout.Block(bytes, blocks.get(block).born(), events++));
    memory.release(address, bytes);
  }

  @Override
  public long bytesInUse() {
    return memory.bytesInUse();
  }

  /** A layout of the blocks, in the order of their allocation. */
  public ArenaLayout layout() {
    return new ArenaLayout(blocks);
  }

  /** Addresses far from all memory, so that nothing mistakes one for one in use. */
  private static final class Nothing implements Allocator {
    private long next = 1L << 62;
    private long bytesInUse;

    @Override
    public long allocate(long bytes) {
      long address = next;
      next += Math.max(1, bytes);
      bytesInUse += bytes;
      return address;
    }

    @Override
    public void release(long address, long bytes) {
      bytesInUse -= bytes;
    }

    @Override
    public long bytesInUse() {
      return bytesInUse;
    }
  }
}
