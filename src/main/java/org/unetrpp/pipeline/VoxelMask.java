package org.unetrpp.pipeline;

import java.util.ArrayDeque;
import org.unetrpp.grid.Extents;

/** A set of voxels of a volume, one bit each. */
public final class VoxelMask {
  private final Extents extents;
  private final Bits bits;

  /**
   * A mask from its bits.
   *
   * @param extents size of the volume, below 2^31 voxels
   * @param bits the voxels that belong to the set, width fastest; not copied
   */
  VoxelMask(Extents extents, Bits bits) {
    this.extents = extents;
    this.bits = bits;
  }

  /** Size of the volume. */
  public Extents extents() {
    return extents;
  }

  /** Whether a voxel, counted with the width fastest, belongs to the set. */
  public boolean contains(int voxel) {
    return bits.get(voxel);
  }

  /** How many voxels belong to the set. */
  public int count() {
    return bits.count();
  }

  /**
   * The mask with its holes filled: voxels outside of the set that no path of neighbors over faces
   * connects with the border of the volume.
   *
   * <p>Takes two more bits a voxel and some bytes a row, whatever the shape of the holes.
   */
  public VoxelMask withHolesFilled() {
    Bits outside = new Flood().outside();
    int voxels = Math.toIntExact(extents.voxels());
    Bits filled = Bits.none(voxels);
    int from = outside.nextClear(0, voxels);
    while (from < voxels) {
      int to = outside.nextSet(from, voxels);
      filled.set(from, to);
      from = outside.nextClear(to, voxels);
    }
    return new VoxelMask(extents, filled);
  }

  /** The smallest box around the set; around an empty set, the whole volume. */
  public Box boundingBox() {
    int[] low = extents.toArray();
    int[] high = new int[3];
    int width = extents.width();
    for (int row = 0; row < extents.depth() * extents.height(); row++) {
      int start = row * width;
      int first = bits.nextSet(start, start + width);
      if (first < start + width) {
        int depth = row / extents.height();
        int line = row % extents.height();
        include(low, high, 0, depth, depth + 1);
        include(low, high, 1, line, line + 1);
        include(low, high, 2, first - start, bits.endOfSet(first, start + width) - start);
      }
    }
    return high[0] == 0
        ? Box.whole(extents)
        : new Box(
            Extents.of(low), new Extents(high[0] - low[0], high[1] - low[1], high[2] - low[2]));
  }

  private static void include(int[] low, int[] high, int axis, int from, int to) {
    low[axis] = Math.min(low[axis], from);
    high[axis] = Math.max(high[axis], to);
  }

  /**
   * Floods the voxels outside of the set from the border, row by row: a row takes over what its
   * four neighbors have reached, spreads it along itself, and wakes the neighbors if it grew.
   */
  private final class Flood {
    private final int width = extents.width();
    private final int height = extents.height();
    private final int rows = extents.depth() * height;
    private final Bits reached = Bits.none(rows * width);
    private final Bits waiting = Bits.none(rows);
    private final ArrayDeque<Integer> queue = new ArrayDeque<>();

    Bits outside() {
      for (int row = 0; row < rows; row++) {
        wake(row);
      }
      while (!queue.isEmpty()) {
        int row = queue.remove();
        waiting.clear(row);
        if (spread(row)) {
          wakeNeighbors(row);
        }
      }
      return reached;
    }

    private boolean spread(int row) {
      int end = row * width + width;
      boolean grew = false;
      int from = bits.nextClear(row * width, end);
      while (from < end) {
        int to = bits.nextSet(from, end);
        if (!reached.get(from) && isOutside(row, from, to)) {
          reached.set(from, to);
          grew = true;
        }
        from = bits.nextClear(to, end);
      }
      return grew;
    }

    private boolean isOutside(int row, int from, int to) {
      int depth = row / height;
      int line = row % height;
      if (depth == 0 || depth == extents.depth() - 1 || line == 0 || line == height - 1) {
        return true;
      }
      return from == row * width
          || to == row * width + width
          || anyReached(from - width, to - width)
          || anyReached(from + width, to + width)
          || anyReached(from - height * width, to - height * width)
          || anyReached(from + height * width, to + height * width);
    }

    private boolean anyReached(int from, int to) {
      return reached.nextSet(from, to) < to;
    }

    private void wakeNeighbors(int row) {
      int line = row % height;
      if (line > 0) {
        wake(row - 1);
      }
      if (line < height - 1) {
        wake(row + 1);
      }
      if (row >= height) {
        wake(row - height);
      }
      if (row + height < rows) {
        wake(row + height);
      }
    }

    private void wake(int row) {
      if (!waiting.get(row)) {
        waiting.set(row, row + 1);
        queue.add(row);
      }
    }
  }
}
