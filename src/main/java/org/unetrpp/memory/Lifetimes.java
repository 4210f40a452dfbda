package org.unetrpp.memory;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Hands out addresses behind which there is no memory, and notes how long each block lives. What it
 * is asked for, a {@link PlacedAllocator} then answers with places in one piece of memory.
 */
public final class Lifetimes implements Allocator {
  /** Far from all memory, so that nothing mistakes an address for one in use. */
  private static final long FIRST_ADDRESS = 1L << 62;

  private static final int LIVING = Integer.MAX_VALUE;

  private final List<ArenaLayout.Block> blocks = new ArrayList<>();
  private final Map<Long, Integer> living = new HashMap<>(); // blocks by address
  private long nextAddress = FIRST_ADDRESS;
  private int events;
  private long bytesInUse;

  @Override
  public long allocate(long bytes) {
    long address = nextAddress;
    nextAddress += Math.max(1, bytes);
    living.put(address, blocks.size());
    blocks.add(new ArenaLayout.Block(bytes, events++, LIVING));
    bytesInUse += bytes;
    return address;
  }

  @Override
  public void release(long address, long bytes) {
    Integer block = living.remove(address);
    if (block == null) {
      throw new IllegalStateException("no block starts at address " + address);
    }
    blocks.set(block, new ArenaLayout.Block(bytes, blocks.get(block).born(), events++));
    bytesInUse -= bytes;
  }

  @Override
  public long bytesInUse() {
    return bytesInUse;
  }

  /** The blocks in the order of their allocation. */
  public List<ArenaLayout.Block> blocks() {
    return List.copyOf(blocks);
  }
}
