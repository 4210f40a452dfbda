package org.unetrpp.backend.cpu;

import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Sums over the rows of each item of a batch: every chunk leaves, in float, what its rows add, and
 * those are added in double, in their order.
 */
final class ChunkSums {
  private static final int VALUES_OF_TASK = 1024;

  private final CpuContext context;
  private final int batch;
  private final int chunks;
  private final int size;
  private final Buffer partial;

  /**
   * For {@code size} values of each item, in the innermost memory scope.
   *
   * @param chunks of each item
   */
  ChunkSums(CpuBackend backend, int batch, int chunks, int size) {
    context = backend.context();
    this.batch = batch;
    this.chunks = chunks;
    this.size = size;
    partial = backend.scopes().allocate(DType.FLOAT32, (long) batch * chunks * size);
  }

  /** Address of what a task leaves. */
  long at(int task, int value) {
    return partial.address() + ((long) task * size + value) * Float.BYTES;
  }

  /** The sums of each item. */
  double[][] totals() {
    int tasks = Math.ceilDiv(size, VALUES_OF_TASK);
    double[][] totals = new double[batch][size];
    Values parts = Values.of(partial);
    context
        .pool()
        .run(
            batch * tasks,
            (task, worker) -> {
              int item = task / tasks;
              int first = task % tasks * VALUES_OF_TASK;
              int count = Math.min(VALUES_OF_TASK, size - first);
              float[] line = worker.array(0, count);
              double[] sums = new double[count];
              for (int part = 0; part < chunks; part++) {
                parts.read((long) (item * chunks + part) * size + first, line, count);
                Loops.add(sums, line, count);
              }
              System.arraycopy(sums, 0, totals[item], first, count);
            });
    return totals;
  }
}
