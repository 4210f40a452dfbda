package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Grid;
import org.unetrpp.memory.Buffer;

/** The normalizations of channels-last activations. */
final class Normalizations {
  private final CpuContext context;

  Normalizations(CpuContext context) {
    this.context = context;
  }

  /** Layer normalization of rows. */
  void layerNorm(Buffer x, Buffer gamma, Buffer beta, Buffer y, int channels, double epsilon) {
    int rows = Math.toIntExact(x.elements() / channels);
    int perTask = Math.min(rows, Math.max(1, CpuContext.TASK_VALUES / channels));
    Primitive full = context.primitives().layerNorm(perTask, channels, epsilon);
    Primitive last =
        context.primitives().layerNorm(CpuContext.lastBlock(rows, perTask), channels, epsilon);
    context.forEachBlock(
        rows,
        perTask,
        (first, count, worker) -> {
          long at = (long) first * channels * Float.BYTES;
          (count == perTask ? full : last)
              .run(worker, x.address() + at, y.address() + at, gamma.address(), beta.address());
        });
  }

  /** Group normalization of each item. */
  void groupNorm(
      Buffer x,
      @Nullable Buffer gamma,
      @Nullable Buffer beta,
      Buffer y,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    Moments[] moments = moments(context, Values.of(x), grid.batch(), grid.tokens(), channels);
    float[] scale = gamma == null ? null : Values.of(gamma).toArray();
    float[] shift = beta == null ? null : Values.of(beta).toArray();
    Affine[] affines = new Affine[grid.batch()];
    Arrays.setAll(
        affines, item -> Affine.of(moments[item].byGroup(groups), scale, shift, channels, epsilon));
    apply(x, y, affines);
  }

  /** The moments of each item of {@code rows} rows. */
  static Moments[] moments(CpuContext context, Values x, int batch, int rows, int channels) {
    int perTask = Math.max(1, CpuContext.TASK_VALUES / channels);
    int tasks = Math.ceilDiv(rows, perTask);
    Moments[] parts = new Moments[batch * tasks];
    context
        .pool()
        .run(
            parts.length,
            (task, worker) -> {
              long first = (long) (task % tasks) * perTask;
              long row = (long) (task / tasks) * rows + first;
              parts[task] =
                  Moments.ofRows(
                      x, row * channels, Math.min(perTask, rows - first), channels, worker);
            });
    return merged(parts, batch, channels);
  }

  /** The moments of each item from those of its parts, which lie item by item. */
  static Moments[] merged(Moments[] parts, int batch, int channels) {
    int perItem = parts.length / batch;
    Moments[] items = new Moments[batch];
    for (int item = 0; item < batch; item++) {
      items[item] = new Moments(channels);
      for (int part = 0; part < perItem; part++) {
        items[item].merge(parts[item * perItem + part]);
      }
    }
    return items;
  }

  /** Batch normalization with given statistics. */
  void batchNorm(Buffer x, ChannelNorm.Batch norm, Buffer y, double epsilon) {
    float[] variance = Values.of(norm.variance()).toArray();
    float[] scale = Values.of(norm.gamma()).toArray();
    for (int channel = 0; channel < scale.length; channel++) {
      scale[channel] = (float) (scale[channel] / Math.sqrt(variance[channel] + epsilon));
    }
    float[] mean = Values.of(norm.mean()).toArray();
    apply(x, y, new Affine(mean, scale, Values.of(norm.beta()).toArray()));
  }

  /** Applies an affine map to each item. */
  void apply(Buffer x, Buffer y, Affine... affines) {
    applying(x, y, affines).run();
  }

  /** The pass that applies what the affine maps of the items are when it runs. */
  Runnable applying(Buffer x, Buffer y, Affine... affines) {
    Values from = Values.of(x);
    Values to = Values.of(y);
    return context.tiles(
        affines.length,
        x.elements(),
        affines[0].channels(),
        (item, first, count, worker) -> {
          float[] values = worker.array(0, count);
          from.read(first, values, count);
          affines[item].apply(values, count);
          to.write(first, values, count);
        });
  }
}
