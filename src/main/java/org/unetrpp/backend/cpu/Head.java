package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.memory.Buffer;

/**
 * The head with its classes first from the start: a chunk of voxels is multiplied into rows of
 * classes in the cache, goes through the softmax there, and leaves row by row.
 */
final class Head {
  private static final int CHUNK = 2048;

  private final CpuContext context;

  Head(CpuContext context) {
    this.context = context;
  }

  void run(Buffer x, HeadParameters p, HeadOutput output, Buffer y, Grid grid) {
    int voxels = grid.tokens();
    int chunk = Math.min(voxels, CHUNK);
    int tasks = Math.ceilDiv(voxels, chunk);
    int rest = CpuContext.lastBlock(voxels, chunk);
    boolean probabilities = output == HeadOutput.PROBABILITIES;
    Primitive softmax = context.primitives().softmaxOfColumns(p.classes(), chunk);
    Primitive lastSoftmax = context.primitives().softmaxOfColumns(p.classes(), rest);
    float[] biases = biasRows(p, chunk);
    Values to = Values.of(y);
    context
        .pool()
        .run(
            grid.batch() * tasks,
            (task, worker) -> {
              int item = task / tasks;
              int first = task % tasks * chunk;
              int count = Math.min(chunk, voxels - first);
              long elements = (long) p.classes() * count;
              long scratch = worker.scratch(elements);
              Values rows = Values.at(scratch, elements);
              for (int k = 0; k < p.classes(); k++) {
                rows.write((long) k * count, biases, k * chunk, count);
              }
              product(x, p, ((long) item * voxels + first) * p.inChannels(), count, scratch);
              if (probabilities) {
                (count == chunk ? softmax : lastSoftmax).run(worker, scratch, scratch);
              }
              for (int k = 0; k < p.classes(); k++) {
                long row = ((long) item * p.classes() + k) * voxels + first;
                to.copyFrom(rows, (long) k * count, row, count);
              }
            });
  }

  /** {@code rows += W x^T}. */
  private void product(Buffer x, HeadParameters p, long first, int count, long rows) {
    context
        .oneDnn()
        .sgemm(
            p.classes(),
            count,
            p.inChannels(),
            Operand.plain(p.weight().address(), p.inChannels()),
            Operand.transposed(x.address() + first * Float.BYTES, p.inChannels()),
            rows,
            count,
            true);
  }

  /** Each class's bias, {@code chunk} times. */
  private static float[] biasRows(HeadParameters p, int chunk) {
    float[] bias = Values.of(p.bias()).toArray();
    float[] rows = new float[p.classes() * chunk];
    for (int k = 0; k < p.classes(); k++) {
      Arrays.fill(rows, k * chunk, (k + 1) * chunk, bias[k]);
    }
    return rows;
  }
}
