package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.Pullback;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.backend.TrainingBoxes;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.backend.cpu.PlannedConvolution.Packed;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.backend.cpu.machine.Operands;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Residual blocks in training mode. Statistics are taken of each slab right after its convolution
 * and kept, and what lies between two convolutions is one pass:
 *
 * <pre>
 *   h1 = W1 x, h2 = W2 leaky(norm(h1))              and their statistics
 *   z = leaky(norm(h2) + x)                         or the normalized shortcut of x
 *   y = skip + Wt dropout(z) + b                    in the same pass, if there is a tail
 * </pre>
 *
 * Kept are h1, h2 and the statistics, of a block without a tail its result too. Dropout of whole
 * channels is part of the tail's weights.
 */
final class ResidualTraining {
  private static final float SLOPE = (float) ResidualBlockParameters.SLOPE;

  private final CpuBackend backend;
  private final CpuTraining training;

  ResidualTraining(CpuBackend backend) {
    this.backend = backend;
    training = backend.cpuTraining();
  }

  Pullback<ResidualBlockParameters> run(
      Buffer x,
      ResidualBlockParameters p,
      @Nullable Buffer skip,
      Dropout dropout,
      Buffer y,
      Grid grid) {
    if (p.tail() != null && skip == null) {
      throw new IllegalArgumentException(p.name() + " has a tail but nothing to add it to");
    }
    Call call = new Call(x, p, dropout, y, grid);
    call.forward(skip);
    return (dy, gradients, dx) -> {
      try (var _ = backend.scopes().open()) {
        new ResidualGradient(call).run(dy, gradients, dx);
      }
      call.release();
    };
  }

  /** One call: what its gradient needs of it. */
  final class Call {
    final CpuBackend backend = ResidualTraining.this.backend;
    final CpuTraining training = ResidualTraining.this.training;
    final CpuContext context = backend.context();
    final Buffer x;
    final ResidualBlockParameters p;
    final Buffer y;
    final Grid grid;
    final int in;
    final int out;
    final RowChunks chunks;

    /** Result of the first convolution; none if doing it again is cheap. */
    private final @Nullable Buffer kept;

    /** Result of the second convolution. */
    final Buffer h2;

    /** The tail's weights with the dropout of each item in them, (B, C, C); none without a tail. */
    final @Nullable Buffer tailWeights;

    /** What dropout multiplies the channels of each item with, (B, C). */
    final float[] tailFactors;

    /** The shortcut of each item; none where the input itself is added. */
    final TrainedShortcut @Nullable [] shortcuts;

    private final TrainedNorm norm1;
    private final TrainedNorm norm2;
    private final Affine[] affines1;
    private final Affine[] affines2;

    Call(Buffer x, ResidualBlockParameters p, Dropout dropout, Buffer y, Grid grid) {
      this.x = x;
      this.p = p;
      this.y = y;
      this.grid = grid;
      in = p.inChannels();
      out = p.outChannels();
      chunks = RowChunks.of(grid, out);
      kept = 2 * in <= out ? null : allocate();
      h2 = allocate();
      tailFactors = new float[grid.batch() * out];
      new DropoutMask(dropout).factors(0, tailFactors, tailFactors.length);
      tailWeights = p.tail() == null ? null : tailWeights(p.tail());
      shortcuts = p.shortcut() == null ? null : shortcuts(p.shortcut());
      try (var _ = backend.scopes().open()) {
        Buffer h1 = kept == null ? allocate() : kept;
        norm1 =
            new TrainedNorm(p.norm1(), convolve(x, p.weight1(), h1, Convolution.same3(in, out)));
        norm1.updateStatistics(training.normalizations(), TrainingBoxes.MOMENTUM);
        affines1 = norm1.affines(null);
        norm2 = new TrainedNorm(p.norm2(), convolveActivated(h1));
        norm2.updateStatistics(training.normalizations(), TrainingBoxes.MOMENTUM);
        affines2 = norm2.affines(shifts());
      }
    }

    /** Releases what was kept. */
    void release() {
      backend.scopes().release(h2);
      if (kept != null) {
        backend.scopes().release(kept);
      }
    }

    private float @Nullable [][] shifts() {
      return shortcuts == null
          ? null
          : Arrays.stream(shortcuts).map(TrainedShortcut::shift).toArray(float[][]::new);
    }

    /** Memory for (B, D, H, W, Cout). */
    Buffer allocate() {
      return backend.scopes().allocate(DType.FLOAT32, grid.rows() * out);
    }

    TrainedNorm norm1() {
      return norm1;
    }

    TrainedNorm norm2() {
      return norm2;
    }

    /** The first normalization of an item. */
    Affine affine1(int item) {
      return affines1[item];
    }

    /** h1, perhaps computed again, in the innermost memory scope; it may be overwritten. */
    Buffer firstConvolution() {
      if (kept != null) {
        return kept;
      }
      Buffer h1 = allocate();
      backend.convolution(x, p.weight1(), null, h1, grid, Convolution.same3(in, out));
      return h1;
    }

    /** Convolves, and gives the moments of the result for each item. */
    private Moments[] convolve(Buffer from, Buffer weight, Buffer to, Convolution shape) {
      PlannedConvolution plan = backend.convolution(shape, grid.extents(), Epilogue.NONE);
      return moments(plan, PlannedConvolution.operands(from, plan.pack(weight, null), to), to);
    }

    /** Convolves {@code leaky(norm1(h1))} to h2. */
    private Moments[] convolveActivated(Buffer h1) {
      Convolution shape = Convolution.same3(out, out);
      PlannedConvolution plan = backend.normalizingConvolution(shape, grid.extents(), SLOPE);
      if (plan == null) {
        activate(h1, y);
        return convolve(y, p.weight2(), h2, shape);
      }
      long table = Affine.table(backend, affines1);
      Packed packed = plan.pack(p.weight2(), null);
      return moments(plan, PlannedConvolution.normalizing(h1, table, packed, h2), h2);
    }

    private Moments[] moments(PlannedConvolution plan, Operands operands, Buffer to) {
      ConvolutionMoments convolution =
          new ConvolutionMoments(context, plan, operands, to, grid.batch(), out);
      convolution.run();
      return convolution.items();
    }

    /** {@code to = leaky(norm1(h1))}. */
    void activate(Buffer h1, Buffer to) {
      Values from = Values.of(h1);
      Values result = Values.of(to);
      context.forEachTile(
          grid.batch(),
          h1.elements(),
          out,
          (item, first, count, worker) -> {
            float[] tile = worker.array(0, count);
            from.read(first, tile, count);
            affines1[item].applyLeaky(tile, SLOPE, count);
            result.write(first, tile, count);
          });
    }

    private Buffer tailWeights(Tail tail) {
      int size = out * out;
      Buffer result = backend.scopes().allocate(DType.FLOAT32, (long) grid.batch() * size);
      float[] weight = Values.of(tail.weight()).toArray();
      float[] scaled = new float[size];
      for (int item = 0; item < grid.batch(); item++) {
        for (int i = 0; i < size; i++) {
          scaled[i] = weight[i] * tailFactors[item * out + i % out];
        }
        Values.of(result).write((long) item * size, scaled, size);
      }
      return result;
    }

    private TrainedShortcut[] shortcuts(Buffer shortcut) {
      RowChunks rows = RowChunks.of(grid, in);
      Values input = Values.of(x);
      Comoments[] parts = new Comoments[rows.tasks()];
      context
          .pool()
          .run(
              parts.length,
              (task, worker) ->
                  parts[task] =
                      Comoments.ofRows(
                          context.oneDnn(),
                          input,
                          rows.row(task) * in,
                          rows.count(task),
                          in,
                          worker));
      double[] weight = Values.of(shortcut).toDoubles();
      TrainedShortcut[] result = new TrainedShortcut[grid.batch()];
      for (int item = 0; item < result.length; item++) {
        Comoments all = new Comoments(in);
        for (int part = 0; part < rows.perItem(); part++) {
          all.merge(parts[item * rows.perItem() + part]);
        }
        result[item] = new TrainedShortcut(backend, all, weight, in, out);
      }
      return result;
    }

    /** From h2 to the result. */
    void forward(@Nullable Buffer skip) {
      Tail tail = p.tail();
      float[] bias =
          tail == null
              ? new float[0]
              : Loops.repeated(Values.of(tail.bias()).toArray(), Loops.tile(out));
      context
          .pool()
          .run(
              chunks.tasks(),
              (task, worker) -> {
                int elements = chunks.count(task) * out;
                long scratch = worker.scratch(2L * elements);
                long first = chunks.row(task) * out;
                long at = y.address() + first * Float.BYTES;
                if (tail == null || skip == null) {
                  result(task, worker, at, scratch);
                  return;
                }
                result(task, worker, scratch, scratch + (long) elements * Float.BYTES);
                addBias(skip, bias, first, elements, worker);
                context
                    .oneDnn()
                    .sgemm(
                        chunks.count(task),
                        out,
                        out,
                        Operand.plain(scratch, out),
                        Operand.transposed(tailWeightsAt(task), out),
                        at,
                        out,
                        true);
              });
    }

    /** Address of the tail's weights for a task's item. */
    long tailWeightsAt(int task) {
      long offset = (long) chunks.item(task) * out * out * Float.BYTES;
      return (tailWeights == null ? 0 : tailWeights.address()) + offset;
    }

    /** {@code y = skip + bias}. */
    private void addBias(Buffer skip, float[] bias, long begin, int elements, Worker worker) {
      int tile = Loops.tile(out);
      for (int first = 0; first < elements; first += tile) {
        int count = Math.min(tile, elements - first);
        float[] values = worker.array(0, count);
        Values.of(skip).read(begin + first, values, count);
        Loops.add(values, bias, count);
        Values.of(y).write(begin + first, values, count);
      }
    }

    /**
     * {@code z = leaky(norm2(h2) + residual)} of a task's rows.
     *
     * @param scratch address of as many values
     */
    void result(int task, Worker worker, long z, long scratch) {
      int elements = chunks.count(task) * out;
      long begin = chunks.row(task) * out;
      Values from = Values.of(h2);
      Values to = Values.at(z, elements);
      Affine affine = affines2[chunks.item(task)];
      Values residual = Values.of(x);
      long residualBegin = begin;
      if (shortcuts != null) {
        long at = x.address() + chunks.row(task) * in * Float.BYTES;
        shortcuts[chunks.item(task)].apply(context.oneDnn(), at, chunks.count(task), scratch);
        residual = Values.at(scratch, elements);
        residualBegin = 0;
      }
      int tile = Loops.tile(out);
      for (int first = 0; first < elements; first += tile) {
        int count = Math.min(tile, elements - first);
        float[] values = worker.array(0, count);
        float[] addend = worker.array(1, count);
        from.read(begin + first, values, count);
        residual.read(residualBegin + first, addend, count);
        affine.applyAddLeaky(values, addend, SLOPE, count);
        to.write(first, values, count);
      }
    }
  }
}
