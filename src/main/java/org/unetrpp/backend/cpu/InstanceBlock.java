package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.cpu.PlannedConvolution.Packed;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.HostMemory;

/**
 * A residual block with instance normalization, planned for its buffers. Statistics are taken of
 * each slab right after its convolution, and one pass does the second normalization, the residual
 * and the LeakyReLU. A shortcut is a linear map of the input's channels, so that its statistics
 * follow from the mean and the covariance of the input, and it is computed within that pass.
 */
final class InstanceBlock implements Runnable {
  private static final float SLOPE = (float) ResidualBlockParameters.SLOPE;

  private final CpuContext context;
  private final Grid grid;
  private final Values input;
  private final Values output;
  private final long inputAddress;
  private final int in;
  private final int out;
  private final ConvolutionMoments first;
  private final ConvolutionMoments second;
  private final Affine[] affines; // of each item, of the first and then of the second norm
  private final long table; // address of those of the first for the second convolution; 0 for none
  private final @Nullable Runnable activating; // where the second convolution does not do it
  private final @Nullable Shortcut shortcut;
  private final Runnable finishing;

  /**
   * Plans a block; what it needs besides its buffers lies in the innermost memory scope.
   *
   * @param hidden memory of the size of {@code y}
   */
  InstanceBlock(
      CpuBackend cpu, Buffer x, ResidualBlockParameters p, Buffer hidden, Buffer y, Grid grid) {
    context = cpu.context();
    this.grid = grid;
    input = Values.of(x);
    output = Values.of(y);
    inputAddress = x.address();
    in = p.inChannels();
    out = p.outChannels();
    affines = new Affine[grid.batch()];
    Arrays.setAll(affines, _ -> new Affine(out));

    PlannedConvolution widening =
        cpu.convolution(Convolution.same3(in, out), grid.extents(), Epilogue.NONE);
    first = convolution(widening, x, widening.pack(p.weight1(), null), 0, hidden);

    Convolution shape = Convolution.same3(out, out);
    PlannedConvolution fused = cpu.normalizingConvolution(shape, grid.extents(), SLOPE);
    PlannedConvolution plan =
        fused == null ? cpu.convolution(shape, grid.extents(), Epilogue.NONE) : fused;
    table = fused == null ? 0 : allocateTable(cpu);
    activating = fused == null ? activating(hidden) : null;
    second = convolution(plan, hidden, plan.pack(p.weight2(), null), table, y);

    shortcut = p.shortcut() == null ? null : new Shortcut(Values.of(p.shortcut()).toDoubles());
    finishing = context.tiles(grid.batch(), y.elements(), out, this::finish);
  }

  private ConvolutionMoments convolution(
      PlannedConvolution plan, Buffer from, Packed packed, long maps, Buffer to) {
    return new ConvolutionMoments(
        context,
        plan,
        PlannedConvolution.normalizing(from, maps, packed, to),
        to,
        grid.batch(),
        out);
  }

  private long allocateTable(CpuBackend cpu) {
    long elements = Affine.tableElements(out, affines.length);
    return cpu.scopes().allocate(DType.FLOAT32, elements).address();
  }

  private Runnable activating(Buffer hidden) {
    Values values = Values.of(hidden);
    return context.tiles(
        grid.batch(),
        hidden.elements(),
        out,
        (item, from, count, worker) -> {
          float[] tile = worker.array(0, count);
          values.read(from, tile, count);
          affines[item].applyLeaky(tile, SLOPE, count);
          values.write(from, tile, count);
        });
  }

  @Override
  public void run() {
    if (shortcut != null) {
      shortcut.measure();
    }
    first.run();
    normalizeBy(first, null);
    if (activating == null) {
      Affine.write(affines, table);
    } else {
      activating.run();
    }
    second.run();
    normalizeBy(second, shortcut);
    finishing.run();
  }

  private void normalizeBy(ConvolutionMoments convolution, @Nullable Shortcut added) {
    for (int item = 0; item < affines.length; item++) {
      float[] shift = added == null ? null : added.items[item].shift;
      affines[item].set(convolution.items()[item], null, shift, ChannelNorm.EPSILON);
    }
  }

  /** {@code y = leakyRelu(affine(y) + residual)}, where the residual is x or its shortcut. */
  private void finish(int item, long from, int count, Worker worker) {
    float[] tile = worker.array(0, count);
    float[] residual = worker.array(1, count);
    if (shortcut == null) {
      input.read(from, residual, count);
    } else {
      shortcut.items[item].apply(from / out, count / out, residual, worker);
    }
    output.read(from, tile, count);
    affines[item].applyAddLeaky(tile, residual, SLOPE, count);
    output.write(from, tile, count);
  }

  /** The shortcut with its normalization in the weights, of the input at hand. */
  private final class Shortcut {
    private final double[] weight; // (Cout, Cin)
    private final Comoments[] planes;
    private final Item[] items;
    private final ThreadPool.Task measuring = this::measure;

    Shortcut(double[] weight) {
      this.weight = weight;
      planes = new Comoments[grid.batch() * grid.extents().depth()];
      Arrays.setAll(planes, _ -> new Comoments(in));
      items = new Item[grid.batch()];
      Arrays.setAll(items, _ -> new Item());
    }

    void measure() {
      context.pool().run(planes.length, measuring);
      int perItem = planes.length / items.length;
      for (int item = 0; item < items.length; item++) {
        items[item].measure(item * perItem, perItem);
      }
    }

    private void measure(int plane, Worker worker) {
      int rows = grid.extents().height() * grid.extents().width();
      planes[plane].clear();
      planes[plane].addRows(context.oneDnn(), input, (long) plane * rows * in, rows, worker);
    }

    /** The shortcut of one item; its shift goes elsewhere. */
    private final class Item {
      private final Comoments comoments = new Comoments(in);
      private final float[] weights = new float[in * out];
      private final float[] shift = new float[out];

      void measure(int firstPlane, int count) {
        comoments.clear();
        for (int plane = firstPlane; plane < firstPlane + count; plane++) {
          comoments.merge(planes[plane]);
        }
        for (int o = 0; o < out; o++) {
          double scale = 1 / Math.sqrt(comoments.variance(weight, o * in) + ChannelNorm.EPSILON);
          shift[o] = (float) (-comoments.mean(weight, o * in) * scale);
          for (int c = 0; c < in; c++) {
            weights[o * in + c] = (float) (weight[o * in + c] * scale);
          }
        }
      }

      /** The shortcut of {@code rows} rows of the input. */
      void apply(long firstRow, int rows, float[] result, Worker worker) {
        int elements = rows * out;
        long scratch = worker.scratch((long) elements + weights.length);
        long ownWeights = scratch + (long) elements * Float.BYTES;
        HostMemory.write(weights, 0, ownWeights, weights.length);
        context
            .oneDnn()
            .productOfRows(
                rows,
                out,
                in,
                inputAddress + firstRow * in * Float.BYTES,
                in,
                ownWeights,
                in,
                scratch,
                out,
                false);
        HostMemory.read(scratch, result, elements);
      }
    }
  }
}
