package org.unetrpp.backend.cpu;

import org.unetrpp.backend.Grid;

/**
 * The rows of a batch of activations, cut into chunks that one task does, none of them in two
 * items. The cut depends on the shape alone.
 *
 * @param batch items
 * @param rows of one item
 * @param perChunk rows of a chunk; the last of an item may have fewer
 */
record RowChunks(int batch, int rows, int perChunk) {
  /** Values of a chunk: with what is made of them they stay in the second-level cache. */
  private static final int VALUES = 1 << 14;

  private static final int LEAST_ROWS = 16;

  static RowChunks of(Grid grid, int channels) {
    int rows = grid.tokens();
    return new RowChunks(
        grid.batch(), rows, Math.min(rows, Math.max(LEAST_ROWS, VALUES / channels)));
  }

  /** Chunks of one item. */
  int perItem() {
    return Math.ceilDiv(rows, perChunk);
  }

  int tasks() {
    return batch * perItem();
  }

  int item(int task) {
    return task / perItem();
  }

  /** First row of a task, counted through the batch. */
  long row(int task) {
    return (long) item(task) * rows + (long) (task % perItem()) * perChunk;
  }

  /** Rows of a task. */
  int count(int task) {
    return Math.min(perChunk, rows - task % perItem() * perChunk);
  }
}
