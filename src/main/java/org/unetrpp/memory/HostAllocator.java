package org.unetrpp.memory;

import java.lang.foreign.Arena;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;

/**
 * Host memory outside the Java heap. Blocks given back are kept for requests of the same size, so
 * that a forward pass that repeats touches no fresh page; {@link #close} returns all to the system.
 */
public final class HostAllocator implements Allocator, AutoCloseable {
  private static final long ALIGNMENT = 256;

  private final Map<Long, Deque<Long>> free = new HashMap<>();
  private final Map<Long, Block> blocks = new HashMap<>();
  private long bytesInUse;

  private record Block(Arena arena, long bytes) {}

  @Override
  public synchronized long allocate(long bytes) {
    long size = Math.max(ALIGNMENT, Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT);
    Deque<Long> sameSize = free.get(size);
    Long address = sameSize == null ? null : sameSize.pollLast();
    if (address == null) {
      address = fresh(size);
    }
    bytesInUse += size;
    return address;
  }

  @SuppressWarnings("MustBeClosedChecker") // close closes it
  private long fresh(long size) {
    Arena arena = Arena.ofShared();
    try {
      long address = arena.allocate(size, ALIGNMENT).address();
      blocks.put(address, new Block(arena, size));
      return address;
    } catch (OutOfMemoryError e) {
      arena.close();
      throw new DeviceMemoryException(
          "no host memory for %d bytes; %d bytes are in use, %d are held"
              .formatted(size, bytesInUse, bytesHeld()));
    }
  }

  @Override
  public synchronized void release(long address, long bytes) {
    Block block = blocks.get(address);
    if (block == null) {
      throw new IllegalStateException("no block starts at address " + address);
    }
    bytesInUse -= block.bytes();
    free.computeIfAbsent(block.bytes(), _ -> new ArrayDeque<>()).addLast(address);
  }

  @Override
  public synchronized long bytesInUse() {
    return bytesInUse;
  }

  /** Bytes obtained from the system, in use or kept for the next request. */
  public synchronized long bytesHeld() {
    return blocks.values().stream().mapToLong(Block::bytes).sum();
  }

  /**
   * Returns all memory to the system.
   *
   * @throws DeviceMemoryException if some is still in use; it is returned all the same
   */
  @Override
  public synchronized void close() {
    long leaked = bytesInUse;
    blocks.values().forEach(block -> block.arena().close());
    blocks.clear();
    free.clear();
    bytesInUse = 0;
    if (leaked != 0) {
      throw new DeviceMemoryException(leaked + " bytes of host memory were never released");
    }
  }
}
