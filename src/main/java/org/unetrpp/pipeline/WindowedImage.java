package org.unetrpp.pipeline;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.unetrpp.grid.Extents;

/** The image that windows are cut out of, as the network sees it. */
interface WindowedImage {
  /** Size of each channel. */
  Extents extents();

  /** How many channels there are. */
  int channels();

  /**
   * Makes slices ready for {@link #readRow}. Ranges go along the depth: neither end ever goes back,
   * and slices before {@code from} are not asked for again.
   *
   * @param from the first slice
   * @param to past the last slice
   */
  void require(int from, int to, Workers workers);

  /**
   * Copies a part of a row. Any thread may call it.
   *
   * @param column the first voxel of the row to copy
   * @param at where it goes in the target
   * @param count how many are copied
   */
  void readRow(int channel, int slice, int row, int column, float[] target, int at, int count);

  /** The values of a slice that is ready, (H, W), where they lie until slices are made ready. */
  MemorySegment slice(int channel, int slice);

  /** An image that is there as a whole. */
  record Whole(List<float[]> volumes, Extents extents) implements WindowedImage {
    @Override
    public int channels() {
      return volumes.size();
    }

    @Override
    public void require(int from, int to, Workers workers) {}

    @Override
    public void readRow(
        int channel, int slice, int row, int column, float[] target, int at, int count) {
      int first = (slice * extents.height() + row) * extents.width() + column;
      System.arraycopy(volumes.get(channel), first, target, at, count);
    }

    @Override
    public MemorySegment slice(int channel, int slice) {
      long bytes = (long) Float.BYTES * extents.height() * extents.width();
      return MemorySegment.ofArray(volumes.get(channel)).asSlice(slice * bytes, bytes);
    }
  }
}
