package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.memory.Buffer;

/**
 * The gradient of a head in one pass over chunks of voxels, whose classes stay rows: {@code dW = dY
 * X}, {@code dx = dY^T W}, {@code db} the sums of the rows.
 */
final class HeadGradient {
  private static final int CHUNK = 1024;

  private final CpuBackend backend;

  HeadGradient(CpuBackend backend) {
    this.backend = backend;
  }

  /**
   * Adds the gradients of the parameters and writes that of the input.
   *
   * @param x (B, D, H, W, C)
   * @param dy (B, K, D, H, W)
   */
  void run(
      Buffer x,
      HeadParameters p,
      Buffer dy,
      HeadParameters gradients,
      @Nullable Buffer dx,
      Grid grid) {
    int classes = p.classes();
    int channels = p.inChannels();
    int voxels = grid.tokens();
    RowChunks chunks = new RowChunks(grid.batch(), voxels, Math.min(voxels, CHUNK));
    CpuContext context = backend.context();
    Values rows = Values.of(dy);
    double[] dweight = new double[classes * channels];
    double[] dbias = new double[classes];
    try (var _ = backend.scopes().open()) {
      ChunkSums sums =
          new ChunkSums(backend, grid.batch(), chunks.perItem(), classes * (channels + 1));
      context
          .pool()
          .run(
              chunks.tasks(),
              (task, worker) -> {
                int count = chunks.count(task);
                int item = chunks.item(task);
                long first = chunks.row(task) + (long) item * (classes - 1) * voxels;
                long gradient = dy.address() + first * Float.BYTES;
                long at = chunks.row(task) * channels * Float.BYTES;
                context
                    .oneDnn()
                    .sgemm(
                        classes,
                        channels,
                        count,
                        Operand.plain(gradient, voxels),
                        Operand.plain(x.address() + at, channels),
                        sums.at(task, 0),
                        channels,
                        false);
                if (dx != null) {
                  context
                      .oneDnn()
                      .sgemm(
                          count,
                          channels,
                          classes,
                          Operand.transposed(gradient, voxels),
                          Operand.plain(p.weight().address(), channels),
                          dx.address() + at,
                          channels,
                          false);
                }
                float[] own = new float[classes];
                float[] row = worker.array(0, count);
                for (int k = 0; k < classes; k++) {
                  rows.read(first + (long) k * voxels, row, count);
                  own[k] = (float) Loops.sum(row, 0, count);
                }
                Values.at(sums.at(task, classes * channels), classes).write(0, own, classes);
              });
      for (double[] item : sums.totals()) {
        Sums.add(dweight, item);
        Sums.add(dbias, Arrays.copyOfRange(item, classes * channels, item.length));
      }
    }
    Sums.addTo(gradients.weight(), dweight);
    Sums.addTo(gradients.bias(), dbias);
  }
}
