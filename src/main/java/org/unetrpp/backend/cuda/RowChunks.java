package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/**
 * How matrices with channels last are shared out to blocks, as {@code kernels/rows.cuh} takes them.
 *
 * @param items matrices, one behind the other
 * @param rows of each
 * @param columns of each
 * @param packed whether threads load and store four columns at once
 * @param size rows of a chunk, but for the last
 * @param count chunks of each matrix; each is taken by one block, or by one per tile of columns
 * @param geometry of a pass over the rows
 */
record RowChunks(
    int items,
    long rows,
    int columns,
    boolean packed,
    int size,
    int count,
    LaunchGeometry geometry) {
  /** Columns that a thread loads and stores at once where they allow it. */
  static final int PACK = 4;

  private static final int WARP = 32;
  private static final int THREADS = 256;
  private static final int ROWS_AT_ONCE = 4;
  private static final int BLOCKS_PER_MULTIPROCESSOR = 4;

  /** Enough chunks to fill the device, of not less than one load for each thread. */
  static RowChunks of(CudaContext context, int items, long rows, int columns, boolean packed) {
    int packs = packed ? columns / PACK : columns;
    int across = Math.clamp(packs, 1, THREADS);
    int tiles = Math.ceilDiv(packs, across);
    int blocks = BLOCKS_PER_MULTIPROCESSOR * context.driver().device().multiprocessors();
    long chunks = Math.max(1, blocks / ((long) tiles * items));
    long step = (long) THREADS / across * ROWS_AT_ONCE;
    long size = Math.max(1, Math.ceilDiv(Math.ceilDiv(rows, chunks), step)) * step;
    int count = Math.toIntExact(Math.max(1, Math.ceilDiv(rows, size)));
    return new RowChunks(
        items,
        rows,
        columns,
        packed,
        Math.toIntExact(size),
        count,
        LaunchGeometry.blocks(tiles, THREADS).grid(tiles, count, items));
  }

  static RowChunks of(CudaContext context, MatrixView view, boolean packed) {
    return of(context, 1, view.rows(), view.columns(), packed);
  }

  /** 1 where threads load and store four columns at once, as kernels are told. */
  int packs() {
    return packed ? 1 : 0;
  }

  /** Whether contiguous rows can be loaded and stored four columns at once. */
  static boolean arePacked(int columns, @Nullable Buffer... buffers) {
    for (Buffer buffer : buffers) {
      if (buffer != null && !isAligned(buffer)) {
        return false;
      }
    }
    return columns % PACK == 0;
  }

  /** Whether rows can be loaded and stored four columns at once. */
  static boolean arePacked(MatrixView... views) {
    for (MatrixView view : views) {
      if (view.columns() % PACK != 0 || view.rowStride() % PACK != 0 || !isAligned(start(view))) {
        return false;
      }
    }
    return true;
  }

  /** Threads that share a row of so many loads: a power of two, at most a warp. */
  static int lanes(int loads) {
    return loads >= WARP ? WARP : Integer.highestOneBit(Math.max(1, 2 * loads - 1));
  }

  private static boolean isAligned(Buffer buffer) {
    return buffer.address() % ((long) PACK * buffer.dtype().bytes()) == 0;
  }

  /** The buffer of a matrix from element (0, 0) on. */
  static Buffer start(MatrixView view) {
    Buffer buffer = view.buffer();
    return buffer.slice(view.offset(), buffer.elements() - view.offset());
  }
}
