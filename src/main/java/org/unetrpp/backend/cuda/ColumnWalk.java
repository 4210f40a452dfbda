package org.unetrpp.backend.cuda;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.grid.Extents;

/**
 * How blocks share a volume along whose depth they walk, {@code kernels/narrow_convolution.cuh}.
 *
 * @param grid of the volume
 * @param columnTiles tiles of channels
 */
record ColumnWalk(Grid grid, int columnTiles) {
  private static final int THREADS = 256;
  private static final int HEIGHT = 12;
  private static final int WIDTH = 32;
  private static final int MOST_CANDIDATES = 4;

  /**
   * What a block computes.
   *
   * @param planes of a column of 12 x 32 voxels
   */
  record Part(int planes) {}

  /** Blocks for each tile of channels. */
  int tiles(Part part) {
    return Math.toIntExact(grid.batch() * tilesOfItem(part));
  }

  private long tilesOfItem(Part part) {
    return grid.extents().tiles(new Extents(part.planes(), HEIGHT, WIDTH));
  }

  LaunchGeometry geometry(Part part) {
    return LaunchGeometry.blocks(1, THREADS).grid(tiles(part), columnTiles, 1);
  }

  /** The tiles whose statistics are taken. */
  StatisticsTiles statistics(Part part, int channels) {
    int ofItem = Math.toIntExact(tilesOfItem(part));
    return new StatisticsTiles(grid.batch(), ofItem, columnTiles, channels);
  }

  /**
   * Ways to cut the depth, the one first by which all is done soonest: a block reads two planes
   * more than it computes.
   *
   * @param blocksAtOnce that the device runs
   */
  List<Part> candidates(long blocksAtOnce) {
    int depth = grid.extents().depth();
    return IntStream.rangeClosed(1, depth)
        .map(parts -> Math.ceilDiv(depth, parts))
        .distinct()
        .mapToObj(Part::new)
        .sorted(Comparator.comparingLong(part -> planesOfTheLast(part, blocksAtOnce)))
        .limit(MOST_CANDIDATES)
        .toList();
  }

  private long planesOfTheLast(Part part, long blocksAtOnce) {
    long blocks = (long) tiles(part) * columnTiles;
    return Math.ceilDiv(blocks, blocksAtOnce) * (part.planes() + 2L);
  }

  /** Floats of workspace that the statistics need, whichever candidate is chosen. */
  long moments(List<Part> candidates, int channels) {
    return candidates.stream()
        .mapToLong(part -> statistics(part, channels).moments())
        .max()
        .orElse(0);
  }
}
