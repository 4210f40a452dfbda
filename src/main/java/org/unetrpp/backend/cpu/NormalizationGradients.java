package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Grid;
import org.unetrpp.memory.Buffer;

/** The gradients of the normalizations of channels-last activations. */
final class NormalizationGradients {
  private final CpuContext context;
  private final BackwardPrimitives primitives;

  NormalizationGradients(CpuContext context, BackwardPrimitives primitives) {
    this.context = context;
    this.primitives = primitives;
  }

  /** The gradients of layer normalization of rows. */
  void layerNorm(
      Buffer dy,
      Buffer x,
      Buffer gamma,
      Buffer dx,
      Buffer dgamma,
      Buffer dbeta,
      int channels,
      double epsilon) {
    int rows = Math.toIntExact(x.elements() / channels);
    int perTask = Math.min(rows, Math.max(1, CpuContext.TASK_VALUES / channels));
    int rest = CpuContext.lastBlock(rows, perTask);
    LayerNormGradient full = new LayerNormGradient(primitives, perTask, channels, epsilon);
    LayerNormGradient last = new LayerNormGradient(primitives, rest, channels, epsilon);
    double[][] scales = new double[Math.ceilDiv(rows, perTask)][];
    double[][] shifts = new double[scales.length][];
    context.forEachBlock(
        rows,
        perTask,
        (first, count, worker) -> {
          long at = (long) first * channels * Float.BYTES;
          LayerNormGradient pass = count == perTask ? full : last;
          long scratch = worker.scratch(pass.scratchValues());
          pass.run(
              worker,
              dy.address() + at,
              x.address() + at,
              gamma.address(),
              dx.address() + at,
              scratch);
          int task = first / perTask;
          scales[task] = LayerNormGradient.dgamma(scratch, channels).toDoubles();
          shifts[task] = LayerNormGradient.dbeta(scratch, channels).toDoubles();
        });
    Sums.addTo(dgamma, Sums.added(scales, channels));
    Sums.addTo(dbeta, Sums.added(shifts, channels));
  }

  /** The gradients of group normalization of each item. */
  void groupNorm(
      Buffer dy,
      Buffer x,
      @Nullable Buffer gamma,
      Buffer dx,
      @Nullable Buffer dgamma,
      @Nullable Buffer dbeta,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    GradientMoments[] moments = moments(Values.of(dy), Values.of(x), grid, channels);
    float[] scale = gamma == null ? null : Values.of(gamma).toArray();
    GroupNormGradient[] gradients = new GroupNormGradient[grid.batch()];
    Arrays.setAll(gradients, item -> new GroupNormGradient(moments[item], scale, groups, epsilon));
    if (dgamma != null) {
      Sums.addTo(dgamma, added(gradients, GroupNormGradient::dgamma, channels));
    }
    if (dbeta != null) {
      Sums.addTo(dbeta, added(gradients, GroupNormGradient::dbeta, channels));
    }
    apply(Values.of(dy), Values.of(x), Values.of(dx), gradients, channels);
  }

  private interface Part {
    double[] of(GroupNormGradient gradient);
  }

  private static double[] added(GroupNormGradient[] gradients, Part part, int channels) {
    return Sums.added(Arrays.stream(gradients).map(part::of).toArray(double[][]::new), channels);
  }

  private GradientMoments[] moments(Values dy, Values x, Grid grid, int channels) {
    int rows = grid.tokens();
    int perTask = Math.max(1, CpuContext.TASK_VALUES / channels);
    int tasks = Math.ceilDiv(rows, perTask);
    GradientMoments[] parts = new GradientMoments[grid.batch() * tasks];
    context
        .pool()
        .run(
            parts.length,
            (task, worker) -> {
              long first = (long) (task % tasks) * perTask;
              long row = (long) (task / tasks) * rows + first;
              parts[task] =
                  GradientMoments.ofRows(
                      dy, x, row * channels, Math.min(perTask, rows - first), channels, worker);
            });
    GradientMoments[] items = new GradientMoments[grid.batch()];
    for (int item = 0; item < items.length; item++) {
      items[item] = new GradientMoments(channels);
      for (int part = 0; part < tasks; part++) {
        items[item].merge(parts[item * tasks + part]);
      }
    }
    return items;
  }

  private void apply(Values dy, Values x, Values dx, GroupNormGradient[] gradients, int channels) {
    context.forEachTile(
        gradients.length,
        x.elements(),
        channels,
        (item, first, count, worker) -> {
          float[] gradient = worker.array(0, count);
          float[] input = worker.array(1, count);
          dy.read(first, gradient, count);
          x.read(first, input, count);
          gradients[item].apply(gradient, input, count);
          dx.write(first, gradient, count);
        });
  }

  /** Moves running statistics towards those of {@code x}. */
  void updateStatistics(Buffer x, ChannelNorm.Batch norm, int channels, double momentum) {
    int rows = Math.toIntExact(x.elements() / channels);
    updateStatistics(
        Normalizations.moments(context, Values.of(x), 1, rows, channels)[0], norm, momentum);
  }

  /** Moves running statistics towards those of a batch. */
  void updateStatistics(Moments batch, ChannelNorm.Batch norm, double momentum) {
    int channels = batch.channels();
    double unbiased = batch.count() / (batch.count() - 1.0);
    double[] means = new double[channels];
    double[] variances = new double[channels];
    for (int channel = 0; channel < channels; channel++) {
      means[channel] = batch.mean(channel);
      variances[channel] = batch.variance(channel) * unbiased;
    }
    move(norm.mean(), means, momentum);
    move(norm.variance(), variances, momentum);
  }

  private void move(Buffer running, double[] batch, double momentum) {
    Values values = Values.of(running);
    float[] result = values.toArray();
    for (int channel = 0; channel < result.length; channel++) {
      result[channel] = (float) ((1 - momentum) * result[channel] + momentum * batch[channel]);
    }
    values.write(0, result, result.length);
    context.packs().invalidate(running.address(), running.bytes());
  }
}
