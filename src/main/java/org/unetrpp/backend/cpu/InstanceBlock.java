package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.backend.cpu.PlannedConvolution.Operands;
import org.unetrpp.backend.cpu.PlannedConvolution.Packed;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Residual blocks with instance normalization. Statistics are taken of each slab right after its
 * convolution, and one pass does the second normalization, the residual and the LeakyReLU. A
 * shortcut is a linear map of the input's channels, so that its statistics follow from the mean and
 * the covariance of the input, and it is computed within that pass.
 */
final class InstanceBlock {
  private static final float SLOPE = (float) ResidualBlockParameters.SLOPE;

  private final CpuBackend backend;
  private final CpuContext context;

  InstanceBlock(CpuBackend backend) {
    this.backend = backend;
    context = backend.context();
  }

  void run(Buffer x, ResidualBlockParameters p, Buffer y, Grid grid) {
    int channels = p.outChannels();
    Buffer shortcut = p.shortcut();
    Comoments[] input = shortcut == null ? null : comoments(x, p.inChannels(), grid);
    try (var _ = backend.scopes().open()) {
      Buffer hidden = backend.scopes().allocate(DType.FLOAT32, y.elements());
      Convolution first = Convolution.same3(p.inChannels(), channels);
      PlannedConvolution plan = backend.convolution(first, grid.extents(), Epilogue.NONE);
      Packed packed = plan.pack(p.weight1(), null);
      Moments[] moments = convolve(plan, Operands.of(x, packed, hidden), channels, grid);
      Moments[] second =
          convolveNormalized(hidden, affines(moments, channels), p.weight2(), y, channels, grid);
      if (shortcut == null || input == null) {
        finish(x, null, y, affines(second, channels), grid);
      } else {
        double[] weight = Values.of(shortcut).toDoubles();
        Shortcut[] shortcuts = new Shortcut[grid.batch()];
        Affine[] affines = new Affine[grid.batch()];
        for (int item = 0; item < grid.batch(); item++) {
          shortcuts[item] = new Shortcut(input[item], weight, p.inChannels(), channels);
          affines[item] =
              Affine.of(second[item], null, shortcuts[item].shift, channels, ChannelNorm.EPSILON);
        }
        finish(x, shortcuts, y, affines, grid);
      }
    }
  }

  private static Affine[] affines(Moments[] moments, int channels) {
    return Arrays.stream(moments)
        .map(item -> Affine.of(item, null, null, channels, ChannelNorm.EPSILON))
        .toArray(Affine[]::new);
  }

  /** The shortcut of one item with its normalization in the weights; its shift goes elsewhere. */
  private static final class Shortcut {
    private final float[] weights;
    private final float[] shift;

    /** From weights (Cout, Cin). */
    Shortcut(Comoments input, double[] weight, int in, int out) {
      weights = new float[in * out];
      shift = new float[out];
      for (int o = 0; o < out; o++) {
        double scale = 1 / Math.sqrt(input.variance(weight, o * in) + ChannelNorm.EPSILON);
        shift[o] = (float) (-input.mean(weight, o * in) * scale);
        for (int c = 0; c < in; c++) {
          weights[o * in + c] = (float) (weight[o * in + c] * scale);
        }
      }
    }
  }

  /** Convolves LeakyReLUs of what the affine maps make of the items, and gives moments. */
  private Moments[] convolveNormalized(
      Buffer x, Affine[] affines, Buffer weight, Buffer y, int channels, Grid grid) {
    Convolution shape = Convolution.same3(channels, channels);
    PlannedConvolution plan = backend.normalizingConvolution(shape, grid.extents(), SLOPE);
    if (plan == null) {
      normalizeLeaky(x, affines, grid);
      plan = backend.convolution(shape, grid.extents(), Epilogue.NONE);
      return convolve(plan, Operands.of(x, plan.pack(weight, null), y), channels, grid);
    }
    long table = Affine.table(backend, affines);
    Operands operands = new Operands(x, table, plan.pack(weight, null), null, y);
    return convolve(plan, operands, channels, grid);
  }

  private Moments[] convolve(PlannedConvolution plan, Operands operands, int channels, Grid grid) {
    return Normalizations.moments(context, plan, operands, grid.batch(), channels);
  }

  private Comoments[] comoments(Buffer x, int channels, Grid grid) {
    int rows = grid.extents().height() * grid.extents().width();
    int planes = grid.extents().depth();
    Values values = Values.of(x);
    Comoments[] parts = new Comoments[grid.batch() * planes];
    context
        .pool()
        .run(
            parts.length,
            (task, worker) ->
                parts[task] =
                    Comoments.ofRows(
                        context.oneDnn(),
                        values,
                        (long) task * rows * channels,
                        rows,
                        channels,
                        worker));
    Comoments[] items = new Comoments[grid.batch()];
    for (int item = 0; item < items.length; item++) {
      items[item] = new Comoments(channels);
      for (int plane = 0; plane < planes; plane++) {
        items[item].merge(parts[item * planes + plane]);
      }
    }
    return items;
  }

  private void normalizeLeaky(Buffer x, Affine[] affines, Grid grid) {
    Values values = Values.of(x);
    context.forEachTile(
        grid.batch(),
        x.elements(),
        affines[0].channels(),
        (item, first, count, worker) -> {
          float[] tile = worker.array(0, count);
          values.read(first, tile, count);
          affines[item].applyLeaky(tile, SLOPE, count);
          values.write(first, tile, count);
        });
  }

  /** {@code y = leakyRelu(affine(y) + residual)}, where the residual is x or its shortcut. */
  private void finish(
      Buffer x, Shortcut @Nullable [] shortcuts, Buffer y, Affine[] affines, Grid grid) {
    Values input = Values.of(x);
    Values output = Values.of(y);
    int in = Math.toIntExact(x.elements() / grid.rows());
    int out = Math.toIntExact(y.elements() / grid.rows());
    context.forEachTile(
        grid.batch(),
        y.elements(),
        out,
        (item, first, count, worker) -> {
          float[] tile = worker.array(0, count);
          float[] residual = worker.array(1, count);
          if (shortcuts == null) {
            input.read(first, residual, count);
          } else {
            long from = x.address() + first / out * in * Float.BYTES;
            shortcut(shortcuts[item], from, count / out, in, out, residual, worker);
          }
          output.read(first, tile, count);
          affines[item].applyAddLeaky(tile, residual, SLOPE, count);
          output.write(first, tile, count);
        });
  }

  private void shortcut(
      Shortcut shortcut, long x, int rows, int in, int out, float[] result, Worker worker) {
    long elements = (long) rows * out;
    long scratch = worker.scratch(elements + shortcut.weights.length);
    long weights = scratch + elements * Float.BYTES;
    Values.at(weights, shortcut.weights.length).write(0, shortcut.weights, shortcut.weights.length);
    context
        .oneDnn()
        .sgemm(
            rows,
            out,
            in,
            Operand.plain(x, in),
            Operand.transposed(weights, in),
            scratch,
            out,
            false);
    Values.at(scratch, elements).read(0, result, Math.toIntExact(elements));
  }
}
