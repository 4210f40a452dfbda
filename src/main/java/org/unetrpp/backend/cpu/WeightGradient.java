package org.unetrpp.backend.cpu;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cpu.BackwardPrimitives.PieceKey;
import org.unetrpp.backend.cpu.Primitives.Strides;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * The gradient of a convolution's weights, cut two ways into tasks: pieces are some planes of the
 * result, or whole items, and blocks are some of its channels. Each task leaves the gradient that
 * its piece gives its block in a slot of its own; then the slots of a block are added up in double,
 * in their order, and added to the gradient. The cut depends on the shape alone.
 *
 * <p>Small kernels are cut into pieces, which also keeps float sums short; large ones into blocks,
 * so that slots take less memory than the kernel does.
 */
final class WeightGradient {
  /** Values of a block's gradient: what stays in the second-level cache. */
  private static final int BLOCK_VALUES = 1 << 16;

  /** Channels that blocks are multiples of: what a vector holds. */
  private static final int LANES = 16;

  /** Tasks to keep some threads busy. */
  private static final int TASKS = 16;

  /** Places that are summed in one go, in float. */
  private static final long LONGEST_SUM = 1 << 15;

  /** Values of all slots, more only where one piece needs that. */
  private static final long SLOT_VALUES = 1 << 20;

  private static final int GRADIENT = 2;

  private final CpuContext context;
  private final Convolution shape;
  private final Extents input;
  private final Extents output;
  private final long kernelValues;
  private final long inputPlane;
  private final int outputPlane;
  private final List<Block> blocks = new ArrayList<>();
  private final List<Piece> pieces = new ArrayList<>();

  /** One for each piece and block, block by block within a piece. */
  private final List<Task> tasks = new ArrayList<>();

  /** Some channels of the result. */
  private record Block(int first, int channels) {}

  /**
   * Some planes of the result.
   *
   * @param row of the result that is its first
   * @param rows of the result that it has
   */
  private record Piece(int items, long inputOffset, long row, int rows, Depth depth) {}

  /**
   * What gives a block the gradient of a piece.
   *
   * @param channels a copy of the block's channels of the result, if it has not all of them
   * @param gradient in the layout that oneDNN prefers
   * @param toPlain takes it to the order of published checkpoints
   */
  private record Task(
      Piece piece,
      Block block,
      @Nullable Primitive channels,
      Primitive gradient,
      Primitive toPlain) {
    /** Values of the gradient as oneDNN leaves it, up to the next cache line. */
    long gradientValues() {
      return aligned(Math.ceilDiv(gradient.layout(GRADIENT).bytes(), Float.BYTES));
    }

    /** Values of scratch memory. */
    long scratch() {
      return gradientValues() + (channels == null ? 0 : (long) piece.rows() * block.channels());
    }
  }

  /** The planes of the input that a piece reads, and the zero planes around them. */
  private record Depth(int first, int planes, int before, int after) {}

  /**
   * Plans the gradient.
   *
   * @param grid of the convolution's input
   */
  WeightGradient(CpuContext context, BackwardPrimitives primitives, Convolution shape, Grid grid) {
    this.context = context;
    this.shape = shape;
    input = grid.extents();
    output = shape.output(input);
    kernelValues = shape.inChannels() * shape.kernel().voxels();
    inputPlane = (long) input.height() * input.width() * shape.inChannels();
    outputPlane = output.height() * output.width();
    cutChannels();
    cutPlanes(grid.batch());
    for (Piece piece : pieces) {
      for (Block block : blocks) {
        tasks.add(task(primitives, piece, block));
      }
    }
  }

  private Task task(BackwardPrimitives primitives, Piece piece, Block block) {
    PieceKey key = key(piece, block);
    return new Task(
        piece,
        block,
        blocks.size() == 1
            ? null
            : context
                .primitives()
                .copy(
                    piece.rows(),
                    block.channels(),
                    new Strides(shape.outChannels(), 1),
                    new Strides(block.channels(), 1)),
        primitives.convolutionWeights(key),
        primitives.convolutionWeightsToPlain(key));
  }

  private void cutChannels() {
    long lanes = Math.max(1, BLOCK_VALUES / (kernelValues * LANES));
    int perBlock = (int) Math.min(shape.outChannels(), lanes * LANES);
    for (int first = 0; first < shape.outChannels(); first += perBlock) {
      blocks.add(new Block(first, Math.min(perBlock, shape.outChannels() - first)));
    }
  }

  private void cutPlanes(int batch) {
    long rows = batch * output.voxels();
    long wanted = Math.max(Math.ceilDiv(TASKS, blocks.size()), Math.ceilDiv(rows, LONGEST_SUM));
    long affordable = Math.max(1, SLOT_VALUES / (kernelValues * shape.outChannels()));
    int count = (int) Math.min(wanted, affordable);
    if (count < batch) {
      int items = Math.ceilDiv(batch, count);
      for (int item = 0; item < batch; item += items) {
        addPiece(item, Math.min(items, batch - item), 0, output.depth());
      }
      return;
    }
    int planes = Math.ceilDiv(output.depth(), Math.ceilDiv(count, batch));
    for (int item = 0; item < batch; item++) {
      for (int plane = 0; plane < output.depth(); plane += planes) {
        addPiece(item, 1, plane, Math.min(planes, output.depth() - plane));
      }
    }
  }

  private void addPiece(int item, int items, int plane, int planes) {
    int stride = shape.stride().depth();
    int start = plane * stride - shape.padding().depth();
    int end = start + (planes - 1) * stride + shape.kernel().depth();
    int first = Math.max(0, start);
    int last = Math.min(input.depth(), end);
    pieces.add(
        new Piece(
            items,
            ((long) item * input.depth() + first) * inputPlane,
            ((long) item * output.depth() + plane) * outputPlane,
            Math.multiplyExact(items * planes, outputPlane),
            new Depth(first, last - first, first - start, end - last)));
  }

  private PieceKey key(Piece piece, Block block) {
    return new PieceKey(
        new Convolution(
            shape.inChannels(), block.channels(), shape.kernel(), shape.stride(), shape.padding()),
        piece.items(),
        new Extents(piece.depth().planes(), input.height(), input.width()),
        piece.depth().before(),
        piece.depth().after());
  }

  /** Values of the slots that {@link #add} needs: none if there is one piece only. */
  long slotValues() {
    return pieces.size() == 1 ? 0 : pieces.size() * kernelValues * shape.outChannels();
  }

  /**
   * Adds the gradient.
   *
   * @param slots address of memory for {@link #slotValues}
   */
  void add(Buffer x, Buffer dy, Buffer dweight, long slots) {
    Values sum = Values.of(dweight);
    context
        .pool()
        .run(
            tasks.size(),
            (index, worker) -> {
              Task task = tasks.get(index);
              long values = blockValues(task);
              long plain = worker.scratch(aligned(values) + task.scratch());
              compute(task, worker, x, dy, plain + aligned(values) * Float.BYTES, plain);
              long first = task.block().first() * kernelValues;
              if (pieces.size() == 1) {
                add(Values.at(plain, values), sum, first, worker);
              } else {
                long slot = index / blocks.size() * sum.elements();
                Values.at(slots, slotValues())
                    .copyFrom(Values.at(plain, values), 0, slot + first, values);
              }
            });
    if (pieces.size() > 1) {
      merge(Values.at(slots, slotValues()), sum);
    }
  }

  private long blockValues(Task task) {
    return task.block().channels() * kernelValues;
  }

  /** Leaves the gradient of a piece in the order of published checkpoints. */
  private void compute(Task task, Worker worker, Buffer x, Buffer dy, long scratch, long plain) {
    Piece piece = task.piece();
    long input = x.address() + piece.inputOffset() * Float.BYTES;
    long from = piece.row() * shape.outChannels() + task.block().first();
    long result = dy.address() + from * Float.BYTES;
    if (task.channels() == null) {
      task.gradient().run(worker, input, result, scratch);
    } else {
      long copy = scratch + task.gradientValues() * Float.BYTES;
      task.channels().run(worker, result, copy);
      task.gradient().run(worker, input, copy, scratch);
    }
    task.toPlain().run(worker, scratch, plain);
  }

  private static void add(Values part, Values sum, long first, Worker worker) {
    float[] tile = worker.array(0, Worker.TILE);
    float[] addend = worker.array(1, Worker.TILE);
    for (long done = 0; done < part.elements(); done += Worker.TILE) {
      int count = (int) Math.min(Worker.TILE, part.elements() - done);
      sum.read(first + done, tile, count);
      part.read(done, addend, count);
      Loops.add(tile, addend, count);
      sum.write(first + done, tile, count);
    }
  }

  /** Values up to the next cache line. */
  private static long aligned(long values) {
    return Math.ceilDiv(values, LANES) * LANES;
  }

  private void merge(Values slots, Values dweight) {
    long values = dweight.elements();
    context.forEachTile(
        values,
        1,
        (first, count, worker) -> {
          float[] tile = worker.array(0, count);
          double[] sums = worker.doubles(count);
          dweight.read(first, tile, count);
          Loops.set(sums, tile, count);
          for (int piece = 0; piece < pieces.size(); piece++) {
            slots.read(piece * values + first, tile, count);
            Loops.add(sums, tile, count);
          }
          Loops.round(sums, tile, count);
          dweight.write(first, tile, count);
        });
  }
}
