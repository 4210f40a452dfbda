package org.unetrpp.metrics;

import java.util.Arrays;
import org.unetrpp.grid.Extents;
import org.unetrpp.mask.MaskRuns;
import org.unetrpp.pipeline.Workers;

/**
 * Some voxels of a volume, such as those of a mask that have a neighbor over a face outside of the
 * mask or outside of the volume.
 *
 * @param extents size of the volume
 * @param slices for each slice the voxels as indices into it, ascending; kept, not copied
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record SurfaceVoxels(Extents extents, int[][] slices) {
  /** The surface of a mask. */
  static SurfaceVoxels of(MaskRuns mask, Workers workers) {
    int[][] slices = new int[mask.extents().depth()][];
    workers.forEach(
        slices.length,
        () -> new Finder(mask),
        (finder, depth) -> slices[depth] = finder.surfaceOf(depth));
    return new SurfaceVoxels(mask.extents(), slices);
  }

  /** How many there are. */
  int count() {
    return Arrays.stream(slices).mapToInt(slice -> slice.length).reduce(0, Math::addExact);
  }

  /**
   * Finds the surface slice by slice: of a run the two ends, and between them what one of the four
   * neighboring rows does not cover.
   */
  private static final class Finder {
    private static final int NEIGHBORS = 4;

    private final MaskRuns mask;
    private final int height;
    private final int width;
    private int[] found = new int[256];
    private int count;

    /** Of each neighboring row: its slice, or null outside of the volume, next run, end of runs. */
    private final MaskRuns.Slice[] slices = new MaskRuns.Slice[NEIGHBORS];

    private final int[] next = new int[NEIGHBORS];
    private final int[] ends = new int[NEIGHBORS];

    Finder(MaskRuns mask) {
      this.mask = mask;
      this.height = mask.extents().height();
      this.width = mask.extents().width();
    }

    int[] surfaceOf(int depth) {
      count = 0;
      MaskRuns.Slice runs = mask.slice(depth);
      for (int row = 0; row < height; row++) {
        int end = runs.starts()[row + 1];
        if (runs.starts()[row] < end) {
          setNeighbor(0, depth, row - 1);
          setNeighbor(1, depth, row + 1);
          setNeighbor(2, depth - 1, row);
          setNeighbor(3, depth + 1, row);
        }
        for (int run = runs.starts()[row]; run < end; run++) {
          addSurfaceOf(runs.from()[run], runs.to()[run], row * width);
        }
      }
      return Arrays.copyOf(found, count);
    }

    /** A row outside of the volume covers nothing. */
    private void setNeighbor(int neighbor, int depth, int row) {
      boolean inside = depth >= 0 && depth < mask.extents().depth() && row >= 0 && row < height;
      slices[neighbor] = mask.slice(inside ? depth : 0);
      next[neighbor] = inside ? slices[neighbor].starts()[row] : 0;
      ends[neighbor] = inside ? slices[neighbor].starts()[row + 1] : 0;
    }

    private void addSurfaceOf(int from, int to, int rowStart) {
      add(rowStart, from, from + 1);
      int last = to - 1;
      int column = from + 1;
      while (column < last) {
        int bare = column;
        int covered = last;
        for (int neighbor = 0; neighbor < NEIGHBORS; neighbor++) {
          MaskRuns.Slice runs = slices[neighbor];
          while (next[neighbor] < ends[neighbor] && runs.to()[next[neighbor]] <= column) {
            next[neighbor]++;
          }
          int start = next[neighbor] < ends[neighbor] ? runs.from()[next[neighbor]] : last;
          if (start > column) {
            bare = Math.max(bare, Math.min(start, last));
          } else {
            covered = Math.min(covered, runs.to()[next[neighbor]]);
          }
        }
        add(rowStart, column, bare);
        column = bare > column ? bare : covered;
      }
      add(rowStart, column, to);
    }

    private void add(int rowStart, int from, int to) {
      while (count + to - from > found.length) {
        found = Arrays.copyOf(found, 2 * found.length);
      }
      for (int column = from; column < to; column++) {
        found[count] = rowStart + column;
        count++;
      }
    }
  }
}
