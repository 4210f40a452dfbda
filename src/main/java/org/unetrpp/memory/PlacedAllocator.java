package org.unetrpp.memory;

/**
 * Answers the requests that {@link Lifetimes} has noted, once more and in the same order, with
 * places of a layout.
 */
public final class PlacedAllocator implements Allocator {
  private final ArenaLayout layout;
  private final long base;
  private int next;
  private long bytesInUse;

  /**
   * Over memory with the blocks of a layout.
   *
   * @param base address of as many bytes as the layout has
   */
  public PlacedAllocator(ArenaLayout layout, long base) {
    this.layout = layout;
    this.base = base;
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalStateException if another size was asked for the first time
   */
  @Override
  public long allocate(long bytes) {
    if (next == layout.blocks().size() || layout.blocks().get(next).bytes() != bytes) {
      throw new IllegalStateException(
          "%d bytes asked for as block %d, other than the first time".formatted(bytes, next));
    }
    bytesInUse += bytes;
    return base + layout.offset(next++);
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
