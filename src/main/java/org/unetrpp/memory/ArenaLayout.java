package org.unetrpp.memory;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Where blocks whose lifetimes are known lie in one piece of memory: blocks that live at the same
 * time lie apart, others may share their bytes. The largest are placed first, each as low as it can
 * be.
 */
public final class ArenaLayout {
  private static final long ALIGNMENT = 256;

  private final List<Block> blocks;
  private final long[] offsets;
  private final long bytes;

  /**
   * A block in the order of events.
   *
   * @param bytes that it has
   * @param born number of the event that allocates it
   * @param died number of the event that releases it, larger than {@code born}
   */
  public record Block(long bytes, int born, int died) {
    public Block {
      if (died <= born) {
        throw new IllegalArgumentException("born at event %d, died at %d".formatted(born, died));
      }
    }

    private boolean meets(Block other) {
      return born < other.died && other.born < died;
    }

    private long size() {
      return Math.max(ALIGNMENT, Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT);
    }
  }

  /** Places blocks. */
  public ArenaLayout(List<Block> blocks) {
    this.blocks = List.copyOf(blocks);
    offsets = new long[blocks.size()];
    List<Integer> placed = new ArrayList<>(); // by offset
    long end = 0;
    for (int block : bySize(blocks)) {
      offsets[block] = lowest(blocks.get(block), placed);
      placed.add(block);
      placed.sort(Comparator.comparingLong(other -> offsets[other]));
      end = Math.max(end, offsets[block] + blocks.get(block).size());
    }
    bytes = end;
  }

  private static List<Integer> bySize(List<Block> blocks) {
    return IntStream.range(0, blocks.size())
        .boxed()
        .sorted(Comparator.comparingLong((Integer block) -> -blocks.get(block).size()))
        .toList();
  }

  /** The lowest offset at which a block meets none of those placed. */
  private long lowest(Block block, List<Integer> placed) {
    long offset = 0;
    for (int other : placed) {
      Block neighbor = blocks.get(other);
      if (!neighbor.meets(block)) {
        continue;
      }
      if (offset + block.size() <= offsets[other]) {
        break;
      }
      offset = Math.max(offset, offsets[other] + neighbor.size());
    }
    return offset;
  }

  /** Bytes of the piece of memory. */
  public long bytes() {
    return bytes;
  }

  /** Where a block begins, in the order in which they were given. */
  public long offset(int block) {
    return offsets[block];
  }

  /** The blocks. */
  List<Block> blocks() {
    return blocks;
  }
}
