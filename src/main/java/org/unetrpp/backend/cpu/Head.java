package org.unetrpp.backend.cpu;

import java.util.Arrays;
import java.util.List;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.HostMemory;

/**
 * The head with its classes first from the start, planned once for its parameters: a chunk of
 * voxels is multiplied into rows of classes in the cache, goes through the softmax there, and
 * leaves row by row. A call makes no objects.
 */
final class Head {
  private static final int CHUNK = 2048;

  private final CpuContext context;
  private final HeadParameters p;
  private final HeadOutput output;
  private final Grid grid;
  private final int voxels;
  private final int chunk;
  private final int tasks; // of one item
  private final Primitive softmax;
  private final Primitive lastSoftmax;
  private final float[] biases; // each class's, as often as a chunk has voxels
  private final ThreadPool.Task classifying = this::classify;
  private long x; // addresses of the present call
  private long y;

  private Head(CpuContext context, HeadParameters p, HeadOutput output, Grid grid) {
    this.context = context;
    this.p = p;
    this.output = output;
    this.grid = grid;
    voxels = grid.tokens();
    chunk = Math.min(voxels, CHUNK);
    tasks = Math.ceilDiv(voxels, chunk);
    softmax = context.primitives().softmaxOfColumns(p.classes(), chunk);
    lastSoftmax =
        context.primitives().softmaxOfColumns(p.classes(), CpuContext.lastBlock(voxels, chunk));
    float[] bias = Values.of(p.bias()).toArray();
    biases = new float[p.classes() * chunk];
    for (int k = 0; k < p.classes(); k++) {
      Arrays.fill(biases, k * chunk, (k + 1) * chunk, bias[k]);
    }
  }

  /** The plan for these parameters, made when it is not there. */
  static Head of(CpuContext context, HeadParameters p, HeadOutput output, Grid grid) {
    if (context.packs().kept(p) instanceof Head plan
        && plan.output == output
        && plan.grid.equals(grid)) {
      return plan;
    }
    Head plan = new Head(context, p, output, grid);
    context.packs().keep(p, List.of(p.weight(), p.bias()), plan);
    return plan;
  }

  void run(Buffer from, Buffer to) {
    x = from.address();
    y = to.address();
    context.pool().run(grid.batch() * tasks, classifying);
  }

  private void classify(int task, Worker worker) {
    int item = task / tasks;
    int first = task % tasks * chunk;
    int count = Math.min(chunk, voxels - first);
    long rows = worker.scratch((long) p.classes() * count);
    for (int k = 0; k < p.classes(); k++) {
      HostMemory.write(biases, k * chunk, rows + (long) k * count * Float.BYTES, count);
    }
    context
        .oneDnn()
        .productOfRows( // rows += W x^T
            p.classes(),
            count,
            p.inChannels(),
            p.weight().address(),
            p.inChannels(),
            x + ((long) item * voxels + first) * p.inChannels() * Float.BYTES,
            p.inChannels(),
            rows,
            count,
            true);
    if (output == HeadOutput.PROBABILITIES) {
      (count == chunk ? softmax : lastSoftmax).run(worker, rows, rows);
    }
    for (int k = 0; k < p.classes(); k++) {
      long to = y + (((long) item * p.classes() + k) * voxels + first) * Float.BYTES;
      HostMemory.copy(rows + (long) k * count * Float.BYTES, to, (long) count * Float.BYTES);
    }
  }
}
