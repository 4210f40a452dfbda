package org.unetrpp.backend.cpu;

import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.PackCache;
import org.unetrpp.backend.cpu.machine.WinogradConvolution;
import org.unetrpp.memory.HostAllocator;

/**
 * What the parts of the CPU backend work with.
 *
 * @param oneDnn the library
 * @param pool the threads
 * @param primitives those made so far
 * @param packs repacked weights
 * @param workspace memory of the backend's own: packs and scratch
 * @param machineCode whether convolutions may run on machine code of our own
 */
record CpuContext(
    OneDnn oneDnn,
    ThreadPool pool,
    Primitives primitives,
    PackCache packs,
    HostAllocator workspace,
    boolean machineCode) {
  /** Values of a task that makes one pass over them: enough to outweigh starting it. */
  static final int TASK_VALUES = 1 << 16;

  private static final long TILES_OF_TASK = TASK_VALUES / Worker.TILE;

  static CpuContext create(int threads, boolean ownKernels) {
    OneDnn oneDnn = OneDnn.instance();
    HostAllocator workspace = new HostAllocator();
    ThreadPool pool =
        new ThreadPool(threads, oneDnn, index -> new Worker(index, oneDnn, workspace));
    return new CpuContext(
        oneDnn,
        pool,
        new Primitives(oneDnn, threads),
        new PackCache(workspace),
        workspace,
        ownKernels && oneDnn.hasAvx512() && WinogradConvolution.isSupported());
  }

  /** Runs {@code body} on tiles of whole rows of {@code period} values, some tiles to a task. */
  void forEachTile(long elements, int period, TileBody body) {
    forEachTile(1, elements, period, (_, first, count, worker) -> body.run(first, count, worker));
  }

  /** The same for the items of a batch; no tile spans two of them. */
  void forEachTile(int batch, long elements, int period, ItemTileBody body) {
    tiles(batch, elements, period, body).run();
  }

  /** A pass over the tiles of the items of a batch, to be run again and again. */
  Pass tiles(int batch, long elements, int period, ItemTileBody body) {
    int tile = Loops.tile(period);
    long perItem = elements / batch;
    long perTask = TILES_OF_TASK * tile;
    int tasks = Math.toIntExact(Math.ceilDiv(perItem, perTask));
    return new Pass(
        pool,
        batch * tasks,
        (task, worker) -> {
          int item = task / tasks;
          long begin = item * perItem;
          long end = begin + Math.min(perItem, (task % tasks + 1) * perTask);
          for (long first = begin + task % tasks * perTask; first < end; first += tile) {
            body.run(item, first, (int) Math.min(tile, end - first), worker);
          }
        });
  }

  /** Tasks that are there to be run; running them makes no objects. */
  record Pass(ThreadPool pool, int tasks, ThreadPool.Task task) implements Runnable {
    @Override
    public void run() {
      pool.run(tasks, task);
    }
  }

  /** Runs {@code body} on blocks of {@code perBlock} rows, the last perhaps smaller. */
  void forEachBlock(int rows, int perBlock, BlockBody body) {
    pool.run(
        Math.ceilDiv(rows, perBlock),
        (task, worker) -> {
          int first = task * perBlock;
          body.run(first, Math.min(perBlock, rows - first), worker);
        });
  }

  /** Runs {@code body} on the first element of each row of a matrix, some rows to a task. */
  void forEachRow(MatrixView x, RowBody body) {
    int perTask = rowsOfTask(x);
    pool.run(
        tasks(x),
        (task, worker) -> {
          int end = Math.min(x.rows(), (task + 1) * perTask);
          for (int row = task * perTask; row < end; row++) {
            body.run(task, x.offset() + row * x.rowStride(), worker);
          }
        });
  }

  /** Tasks of {@link #forEachRow}. */
  static int tasks(MatrixView x) {
    return Math.ceilDiv(x.rows(), rowsOfTask(x));
  }

  private static int rowsOfTask(MatrixView x) {
    return Math.max(1, TASK_VALUES / x.columns());
  }

  /** Rows of the last block. */
  static int lastBlock(int rows, int perBlock) {
    return rows - (Math.ceilDiv(rows, perBlock) - 1) * perBlock;
  }

  /** Work on some rows. */
  @FunctionalInterface
  interface BlockBody {
    /** Does {@code count} rows from row {@code first} on. */
    void run(int first, int count, Worker worker);
  }

  /** Work on one row. */
  @FunctionalInterface
  interface RowBody {
    /** Does the row that starts at element {@code first} of the buffer. */
    void run(int task, long first, Worker worker);
  }

  /** Work on one tile. */
  @FunctionalInterface
  interface TileBody {
    /** Does {@code count} values from element {@code first} on. */
    void run(long first, int count, Worker worker);
  }

  /** Work on one tile of one item. */
  @FunctionalInterface
  interface ItemTileBody {
    /** Does {@code count} values from element {@code first} of the batch on. */
    void run(int item, long first, int count, Worker worker);
  }

  /** Ends the threads and returns all memory. */
  void close() {
    pool.close();
    primitives.close();
    packs.close();
    workspace.close();
  }
}
