package org.unetrpp.mask;

import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.Workers;

/**
 * A set of voxels as runs along the rows of its volume: within a row they ascend, and between two
 * there is a voxel that does not belong to the set. 8 bytes a run and 4 a row.
 */
public final class MaskRuns {
  private final Extents extents;
  private final Slice[] slices;

  /**
   * @param slices one for each along the depth; kept
   */
  MaskRuns(Extents extents, Slice[] slices) {
    this.extents = extents;
    this.slices = slices;
  }

  /**
   * The runs of a slice, row after row.
   *
   * @param starts for each row the index of its first run, and past the last row that of all, (H +
   *     1)
   * @param from first column of each run
   * @param to past the last column of each run
   */
  @SuppressWarnings("ArrayRecordComponent") // read only, never compared
  public record Slice(int[] starts, int[] from, int[] to) {
    /** How many runs there are. */
    public int count() {
      return from.length;
    }
  }

  /** Size of the volume. */
  public Extents extents() {
    return extents;
  }

  /** The runs of a slice; the arrays are the mask's own, to be read only. */
  public Slice slice(int depth) {
    return slices[depth];
  }

  /** The voxels that do not belong to the set. */
  MaskRuns complement(Workers workers) {
    Slice[] others = new Slice[slices.length];
    workers.forEach(
        slices.length,
        () -> new RunBuffer(extents.height()),
        (buffer, depth) -> others[depth] = complement(slices[depth], buffer));
    return new MaskRuns(extents, others);
  }

  private Slice complement(Slice slice, RunBuffer buffer) {
    buffer.clear();
    for (int row = 0; row < extents.height(); row++) {
      int start = 0;
      for (int run = slice.starts[row]; run < slice.starts[row + 1]; run++) {
        if (slice.from[run] > start) {
          buffer.add(start, slice.from[run]);
        }
        start = slice.to[run];
      }
      if (start < extents.width()) {
        buffer.add(start, extents.width());
      }
      buffer.endRow();
    }
    return buffer.mask();
  }
}
