package org.unetrpp.backend.cpu;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.backend.cpu.machine.Operands;
import org.unetrpp.memory.Buffer;

/**
 * The gradient of {@link ResidualTraining}. What lies between two convolutions is a pass that sums
 * what a normalization's gradient needs, and one that applies it; LeakyReLU's gradient is part of
 * both.
 *
 * <pre>
 *   pass 1   ds = dz leaky'(z) over y         with sums of ds and ds h2; dz = dy, or the tail's
 *   pass 2   dh2 = norm'(ds) over h2          and a = leaky(norm(h1))
 *            dW2 from a and dh2
 *   pass 3   da = W2^T dh2 over a             with sums of da leaky'(a) and its product with h1
 *   pass 4   dh1 = norm'(da leaky'(a)) over h1
 *            dW1 from x and dh1
 *   last     dx = W1^T dh1 + ds               or through the shortcut
 * </pre>
 */
final class ResidualGradient {
  private static final float SLOPE = (float) ResidualBlockParameters.SLOPE;
  private static final Epilogue ADD = new Epilogue(false, true, 1);

  private final ResidualTraining.Call call;
  private final CpuContext context;
  private final ResidualBlockParameters p;
  private final int in;
  private final int out;
  private final RowChunks chunks;

  /** Gradient before the last LeakyReLU times the input, for the shortcut, (Cout, Cin). */
  private final @Nullable ChunkSums inputProducts;

  ResidualGradient(ResidualTraining.Call call) {
    this.call = call;
    context = call.context;
    p = call.p;
    in = call.in;
    out = call.out;
    chunks = call.chunks;
    inputProducts = call.shortcuts == null ? null : sums(out * in);
  }

  /** Sums of {@code size} values of each item. */
  private ChunkSums sums(int size) {
    return new ChunkSums(call.backend, chunks.batch(), chunks.perItem(), size);
  }

  /** Adds the gradients of the parameters and writes that of the input. */
  void run(Buffer dy, ResidualBlockParameters gradients, @Nullable Buffer dx) {
    Convolution first = Convolution.same3(in, out);
    Convolution second = Convolution.same3(out, out);
    Buffer dsum = call.y;
    ChannelSums[] sums = sumBackward(dy, gradients, dsum);
    Buffer h1 = call.firstConvolution();
    Buffer activated = dx != null && dx.elements() == h1.elements() ? dx : call.allocate();
    call.activate(h1, activated);
    Buffer dh2 = call.h2;
    secondNormBackward(call.norm2().gradients(sums, gradients.norm2()), dsum, dh2);
    call.training.convolutionBackwardWeights(
        activated, dh2, gradients.weight2(), null, call.grid, second);
    ChannelSums[] activatedSums = convolutionBackward(dh2, activated, h1, second);
    firstNormBackward(call.norm1().gradients(activatedSums, gradients.norm1()), activated, h1);
    call.training.convolutionBackwardWeights(
        call.x, h1, gradients.weight1(), null, call.grid, first);
    if (call.shortcuts != null && inputProducts != null) {
      if (dx != null) {
        call.training.convolutionBackwardData(h1, p.weight1(), dx, call.grid, first);
      }
      shortcutBackward(call.shortcuts, inputProducts.totals(), sums, dsum, gradients, dx);
    } else if (dx != null) {
      PlannedConvolution plan = call.backend.convolution(turned(first), call.grid.extents(), ADD);
      plan.withFlipped(
          p.weight1(),
          packed ->
              plan.runAll(
                  context.pool(),
                  call.grid.batch(),
                  PlannedConvolution.adding(h1, packed, dsum, dx)));
    }
  }

  /** The convolution that takes the gradient of the result to that of the input. */
  private static Convolution turned(Convolution shape) {
    return Convolution.same3(shape.outChannels(), shape.inChannels());
  }

  /** Pass 1: the tail, then the gradient before the last LeakyReLU. */
  private ChannelSums[] sumBackward(Buffer dy, ResidualBlockParameters gradients, Buffer dsum) {
    Tail tail = p.tail();
    float[][] means = call.norm2().means(ChannelSums.tile(out));
    ChannelSums[] parts = new ChannelSums[chunks.tasks()];
    if (tail == null) {
      Values gradient = Values.of(dy);
      Values result = Values.of(call.y);
      context
          .pool()
          .run(
              parts.length,
              (task, worker) -> {
                parts[task] = sums(task, worker, means, gradient, 0, result, 0, Values.of(dsum));
                multiplyInput(task, dsum);
              });
    } else {
      Tail to = Objects.requireNonNull(gradients.tail());
      int size = out * out;
      ChunkSums weights = sums(size + out);
      context
          .pool()
          .run(
              parts.length,
              (task, worker) -> {
                int elements = chunks.count(task) * out;
                long z = worker.scratch(2L * elements);
                long dz = z + (long) elements * Float.BYTES;
                call.result(task, worker, z, dz);
                tailBackward(task, dy, z, dz, weights, worker);
                long begin = chunks.row(task) * out;
                parts[task] =
                    sums(
                        task,
                        worker,
                        means,
                        Values.at(dz, elements),
                        begin,
                        Values.at(z, elements),
                        begin,
                        Values.of(dsum));
                multiplyInput(task, dsum);
              });
      addTail(weights.totals(), to);
    }
    return ChannelSums.ofItems(parts, chunks.batch(), out);
  }

  /**
   * Multiplies a gradient with LeakyReLU's at a result, writes it, and sums it up for the second
   * normalization.
   *
   * @param gradientBegin element of the batch that {@code gradient} begins with
   * @param resultBegin element of the batch that {@code result} begins with
   */
  private ChannelSums sums(
      int task,
      Worker worker,
      float[][] means,
      Values gradient,
      long gradientBegin,
      Values result,
      long resultBegin,
      Values to) {
    Values h2 = Values.of(call.h2);
    long begin = chunks.row(task) * out;
    return ChannelSums.of(
        begin,
        begin + (long) chunks.count(task) * out,
        means[chunks.item(task)],
        out,
        worker,
        (first, count, tile, other) -> {
          gradient.read(first - gradientBegin, tile, count);
          result.read(first - resultBegin, other, count);
          Loops.leakyReluGradient(tile, other, SLOPE, count);
          to.write(first, tile, count);
          h2.read(first, other, count);
        });
  }

  /** {@code dz = dy W}, and what the chunk adds to the gradients of the tail's parameters. */
  private void tailBackward(
      int task, Buffer dy, long z, long dz, ChunkSums weights, Worker worker) {
    int count = chunks.count(task);
    long begin = chunks.row(task) * out;
    long gradient = dy.address() + begin * Float.BYTES;
    context
        .oneDnn()
        .sgemm(
            out,
            out,
            count,
            Operand.transposed(gradient, out),
            Operand.plain(z, out),
            weights.at(task, 0),
            out,
            false);
    context
        .oneDnn()
        .sgemm(
            count,
            out,
            out,
            Operand.plain(gradient, out),
            Operand.plain(call.tailWeightsAt(task), out),
            dz,
            out,
            false);
    float[] sums = new float[out];
    float[] row = worker.array(0, out);
    Values from = Values.of(dy);
    for (int i = 0; i < count; i++) {
      from.read(begin + (long) i * out, row, out);
      Loops.add(sums, row, out);
    }
    Values.at(weights.at(task, out * out), out).write(0, sums, out);
  }

  private void addTail(double[][] totals, Tail to) {
    int size = out * out;
    double[] dweight = new double[size];
    double[] dbias = new double[out];
    for (int item = 0; item < totals.length; item++) {
      for (int i = 0; i < size; i++) {
        dweight[i] += totals[item][i] * call.tailFactors[item * out + i % out];
      }
      for (int o = 0; o < out; o++) {
        dbias[o] += totals[item][size + o];
      }
    }
    Sums.addTo(to.weight(), dweight);
    Sums.addTo(to.bias(), dbias);
  }

  /** Pass 2. */
  private void secondNormBackward(GroupNormGradient[] norm, Buffer dsum, Buffer h2) {
    Values gradient = Values.of(dsum);
    Values input = Values.of(h2);
    context.forEachTile(
        chunks.batch(),
        h2.elements(),
        out,
        (item, first, count, worker) -> {
          float[] tile = worker.array(0, count);
          float[] other = worker.array(1, count);
          gradient.read(first, tile, count);
          input.read(first, other, count);
          norm[item].apply(tile, other, count);
          input.write(first, tile, count);
        });
  }

  /** Pass 3, strip by strip while it is in the cache. */
  private ChannelSums[] convolutionBackward(
      Buffer dh2, Buffer dactivated, Buffer h1, Convolution shape) {
    PlannedConvolution plan =
        call.backend.convolution(turned(shape), call.grid.extents(), Epilogue.NONE);
    float[][] means = call.norm1().means(ChannelSums.tile(out));
    ChannelSums[] parts = new ChannelSums[plan.tasks(call.grid.batch())];
    int perItem = parts.length / call.grid.batch();
    Values gradient = Values.of(dactivated);
    Values input = Values.of(h1);
    plan.withFlipped(
        p.weight2(),
        packed -> {
          Operands operands = PlannedConvolution.operands(dh2, packed, dactivated);
          context
              .pool()
              .run(
                  parts.length,
                  (task, worker) -> {
                    int item = task / perItem;
                    ChannelSums sums = new ChannelSums(out);
                    plan.run(
                        task,
                        worker,
                        operands,
                        (_, voxel, voxels) ->
                            sums.add(
                                ChannelSums.of(
                                    voxel * out,
                                    (voxel + voxels) * out,
                                    means[item],
                                    out,
                                    worker,
                                    (first, count, tile, other) -> {
                                      gradient.read(first, tile, count);
                                      input.read(first, other, count);
                                      activationBackward(item, tile, other, count, worker);
                                    })));
                    parts[task] = sums;
                  });
        });
    return ChannelSums.ofItems(parts, call.grid.batch(), out);
  }

  /** LeakyReLU's gradient at the first normalization of {@code h1}. */
  private void activationBackward(
      int item, float[] gradient, float[] h1, int count, Worker worker) {
    float[] normalized = worker.array(2, count);
    System.arraycopy(h1, 0, normalized, 0, count);
    call.affine1(item).apply(normalized, count);
    Loops.leakyReluGradient(gradient, normalized, SLOPE, count);
  }

  /** Pass 4. */
  private void firstNormBackward(GroupNormGradient[] norm, Buffer dactivated, Buffer h1) {
    Values gradient = Values.of(dactivated);
    Values input = Values.of(h1);
    context.forEachTile(
        chunks.batch(),
        h1.elements(),
        out,
        (item, first, count, worker) -> {
          float[] tile = worker.array(0, count);
          float[] other = worker.array(1, count);
          gradient.read(first, tile, count);
          input.read(first, other, count);
          activationBackward(item, tile, other, count, worker);
          norm[item].apply(tile, other, count);
          input.write(first, tile, count);
        });
  }

  /** What a chunk adds to the products with the input, if there is a shortcut. */
  private void multiplyInput(int task, Buffer dsum) {
    if (inputProducts == null) {
      return;
    }
    context
        .oneDnn()
        .sgemm(
            out,
            in,
            chunks.count(task),
            Operand.transposed(rowsAt(dsum, task, out), out),
            Operand.plain(rowsAt(call.x, task, in), in),
            inputProducts.at(task, 0),
            in,
            false);
  }

  /** The shortcut's weights; adds what goes through it to {@code dx}. */
  private void shortcutBackward(
      TrainedShortcut[] shortcuts,
      double[][] products,
      ChannelSums[] sums,
      Buffer dsum,
      ResidualBlockParameters gradients,
      @Nullable Buffer dx) {
    double[] dweight = new double[out * in];
    for (int item = 0; item < products.length; item++) {
      double[] columns = sums[item].sums();
      shortcuts[item].addWeightGradient(products[item], columns, dweight);
      if (dx != null) {
        addInputGradient(item, shortcuts[item].inputGradient(products[item], columns), dsum, dx);
      }
    }
    Sums.addTo(Objects.requireNonNull(gradients.shortcut()), dweight);
  }

  private long rowsAt(Buffer buffer, int task, int channels) {
    return buffer.address() + chunks.row(task) * channels * Float.BYTES;
  }

  private void addInputGradient(
      int item, TrainedShortcut.InputGradient gradient, Buffer dsum, Buffer dx) {
    float[] constant = new float[in];
    for (int c = 0; c < in; c++) {
      constant[c] = (float) gradient.constant()[c];
    }
    float[] shift = Loops.repeated(constant, Loops.tile(in));
    Buffer matrices = call.backend.scopes().allocate(dsum.dtype(), (long) (out + in) * in);
    Doubles.of(gradient.fromGradient(), 0, out, in).store(Values.of(matrices), 0, in);
    Doubles.of(gradient.fromInput(), 0, in, in).store(Values.of(matrices), (long) out * in, in);
    Values to = Values.of(dx);
    context
        .pool()
        .run(
            chunks.perItem(),
            (chunk, worker) -> {
              int task = item * chunks.perItem() + chunk;
              int rows = chunks.count(task);
              long begin = chunks.row(task) * in;
              int tile = Loops.tile(in);
              for (int first = 0; first < rows * in; first += tile) {
                int count = Math.min(tile, rows * in - first);
                float[] values = worker.array(0, count);
                to.read(begin + first, values, count);
                Loops.add(values, shift, count);
                to.write(begin + first, values, count);
              }
              addProduct(
                  rows, out, rowsAt(dsum, task, out), matrices.address(), rowsAt(dx, task, in));
              addProduct(
                  rows,
                  in,
                  rowsAt(call.x, task, in),
                  matrices.address() + (long) out * in * Float.BYTES,
                  rowsAt(dx, task, in));
            });
  }

  private void addProduct(int rows, int inner, long a, long b, long c) {
    context
        .oneDnn()
        .sgemm(rows, in, inner, Operand.plain(a, inner), Operand.plain(b, in), c, in, true);
  }
}
