package org.unetrpp.backend.cuda;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Convolutions in bfloat16 by {@code kernels/tensor_convolution.cu}: of 3x3x3 kernels, forward and
 * the gradient with respect to x. Activations must be aligned to 16 bytes.
 */
final class TensorConvolutions implements Convolutions, Library<Convolutions, ConvolutionWork> {
  static final String NAME = "tensor";

  /** One more wherever the kernels become quicker, so that what was measured is measured again. */
  static final int VERSION = 1;

  private static final String FILE = "tensor_convolution";
  private static final int BFLOAT16_MAJOR = 8; // compute capability that bfloat16 begins with
  private static final int COPIED_CHANNELS = 8; // 16 bytes
  private static final int TAPS = 27;
  private static final int CHUNK = 16; // channels of x that a product sums over
  private static final int PAIR = 16; // channels of y of two neighboring products
  private static final int PACK_THREADS = 256;
  private static final int MERGE_THREADS = 256;
  private static final int MERGED_VALUES = 4; // of a thread
  private static final long ALIGNMENT = 16;

  private static final int NARROW_CHANNELS = 32; // of y, at most: x is read for each 16 of them
  private static final int NARROW_THREADS = 256;
  private static final int NARROW_HEIGHT = 12;
  private static final int NARROW_WIDTH = 32;

  private static final int THREADS = 128;
  private static final int COLUMNS = 32;

  /** What a block of the tiled kernels computes, times 32 channels. */
  private enum Tile {
    LARGE("large", new Extents(4, 8, 8), 56_832, 20),
    SMALL("small", new Extents(4, 4, 4), 78_336, 7);

    private final String suffix;
    private final Extents extents;
    private final int sharedBytes;
    private final int cost;

    /**
     * A tile.
     *
     * @param cost time of a block, in units of their own: a quarter of the products, each of which
     *     loads 1.4 times as much from shared memory
     */
    Tile(String suffix, Extents extents, int sharedBytes, int cost) {
      this.suffix = suffix;
      this.extents = extents;
      this.sharedBytes = sharedBytes;
      this.cost = cost;
    }

    long count(Product p) {
      return p.grid().batch() * p.grid().extents().tiles(extents);
    }

    long blocks(Product p) {
      return count(p) * Math.ceilDiv(p.outChannels(), COLUMNS);
    }

    long cost(Product p, int multiprocessors) {
      return Math.ceilDiv(blocks(p), multiprocessors) * cost;
    }
  }

  /**
   * One launch that computes y or dx, in its own words: what is read is {@code x}, what is written
   * {@code y}.
   *
   * @param backward whether it is dx that is written, with the weights of y
   */
  private record Product(
      Buffer x,
      Buffer weight,
      Epilogue epilogue,
      Buffer y,
      Grid grid,
      int inChannels,
      int outChannels,
      boolean backward) {
    int chunks() {
      return Math.ceilDiv(inChannels, CHUNK);
    }
  }

  /** The order of packed weights. */
  private record Order(int rows, int columns, int pairs, boolean backward) {
    long elements() {
      long padded = Math.ceilDiv(columns, PAIR * pairs) * (long) PAIR * pairs;
      return TAPS * padded * Math.ceilDiv(rows, CHUNK) * CHUNK;
    }
  }

  private final CudaContext context;
  private final int multiprocessors;

  TensorConvolutions(CudaContext context) {
    this.context = context;
    multiprocessors = context.driver().device().multiprocessors();
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public Convolutions provider() {
    return this;
  }

  @Override
  public @Nullable String refusal(ConvolutionWork work) {
    int in = work.shape().inChannels();
    int out = work.shape().outChannels();
    if (context.driver().device().major() < BFLOAT16_MAJOR) {
      return "the device has no bfloat16";
    }
    if (work.dtype() != DType.BFLOAT16) {
      return "is of type " + work.dtype();
    }
    if (work.direction() == Direction.BACKWARD_WEIGHTS) {
      return "gradients of weights are not computed";
    }
    if (!work.shape().equals(Convolution.same3(in, out))) {
      return "is not 3x3x3 with stride 1 and padding 1";
    }
    return in % COPIED_CHANNELS != 0 || out % COPIED_CHANNELS != 0
        ? "%d to %d channels are no multiples of %d".formatted(in, out, COPIED_CHANNELS)
        : null;
  }

  @Override
  public void forward(
      Buffer x, Buffer weight, Epilogue epilogue, Buffer y, Grid grid, Convolution shape) {
    run(new Product(x, weight, epilogue, y, grid, shape.inChannels(), shape.outChannels(), false));
  }

  @Override
  public void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    run(
        new Product(
            dy, weight, Epilogue.NONE, dx, grid, shape.outChannels(), shape.inChannels(), true));
  }

  @Override
  public void backwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    throw new UnsupportedOperationException("gradients of weights on tensor cores");
  }

  private void run(Product p) {
    requireAligned(p.x());
    requireAligned(p.y());
    if (p.epilogue().addend() != null) {
      requireAligned(p.epilogue().addend());
    }
    if (p.inChannels() <= CHUNK && p.outChannels() <= NARROW_CHANNELS) {
      narrow(p);
    } else {
      tiled(p);
    }
  }

  private static void requireAligned(Buffer buffer) {
    if (buffer.address() % ALIGNMENT != 0) {
      throw new IllegalArgumentException(
          "%s is at address %x, expected a multiple of %d"
              .formatted(buffer, buffer.address(), ALIGNMENT));
    }
  }

  private void narrow(Product p) {
    Extents extents = p.grid().extents();
    int groups = Math.ceilDiv(p.outChannels(), PAIR);
    int depth = depthOfBlock(groups * narrowTiles(p, extents.depth()), extents.depth());
    long packed = packed(p, 1);
    context.launch(
        FILE,
        CudaContext.entry("tensor_convolution_narrow", p.x()),
        LaunchGeometry.blocks(1, NARROW_THREADS)
            .grid(Math.toIntExact(narrowTiles(p, depth)), groups, 1),
        context
            .arguments(p.x())
            .longs(packed)
            .buffers(p.y(), p.epilogue().bias(), p.epilogue().addend())
            .floats((float) p.epilogue().slope())
            .ints(extents.toArray())
            .ints(p.inChannels(), p.outChannels(), depth));
  }

  private static long narrowTiles(Product p, int depth) {
    Extents tile = new Extents(depth, NARROW_HEIGHT, NARROW_WIDTH);
    return p.grid().batch() * p.grid().extents().tiles(tile);
  }

  /**
   * Planes of y that a block computes, so that all are done soonest: a multiprocessor has one block
   * at a time, which reads two planes more.
   *
   * @param columns of whole depth
   */
  private int depthOfBlock(long columns, int depth) {
    int best = depth;
    long least = Long.MAX_VALUE;
    for (int parts = 1; parts <= depth; parts++) {
      int each = Math.ceilDiv(depth, parts);
      long blocks = columns * Math.ceilDiv(depth, each);
      long planes = Math.ceilDiv(blocks, multiprocessors) * (each + 2L);
      if (planes < least) {
        best = each;
        least = planes;
      }
    }
    return best;
  }

  private void tiled(Product p) {
    Tile tile =
        Tile.LARGE.cost(p, multiprocessors) <= Tile.SMALL.cost(p, multiprocessors)
            ? Tile.LARGE
            : Tile.SMALL;
    long packed = packed(p, COLUMNS / PAIR);
    Splits splits = Splits.of(tile.blocks(p), p.chunks(), multiprocessors, Long.MAX_VALUE);
    try (var _ = context.scopes().open()) {
      Buffer partials =
          splits.count() == 1 ? null : context.floats(splits.count() * p.y().elements());
      context.launch(
          FILE,
          CudaContext.entry("tensor_convolution_" + tile.suffix, p.x()),
          LaunchGeometry.blocks(1, THREADS)
              .grid(
                  Math.toIntExact(tile.count(p)),
                  Math.ceilDiv(p.outChannels(), COLUMNS),
                  splits.count())
              .shared(tile.sharedBytes),
          context
              .arguments(p.x())
              .longs(packed)
              .buffers(p.y(), partials, p.epilogue().bias(), p.epilogue().addend())
              .floats((float) p.epilogue().slope())
              .ints(p.grid().batch())
              .ints(p.grid().extents().toArray())
              .ints(p.inChannels(), p.outChannels(), splits.steps()));
      if (partials != null) {
        context.launch(
            FILE,
            CudaContext.entry("tensor_convolution_merge", p.y()),
            LaunchGeometry.threadEach(p.y().elements() / MERGED_VALUES, MERGE_THREADS),
            context
                .arguments(partials, p.y(), p.epilogue().bias(), p.epilogue().addend())
                .floats((float) p.epilogue().slope())
                .longs(p.y().elements())
                .ints(splits.count(), p.outChannels()));
      }
    }
  }

  /**
   * Device address of the packed weights.
   *
   * @param pairs times 16 channels of y that a block computes
   */
  private long packed(Product p, int pairs) {
    Order order = new Order(p.inChannels(), p.outChannels(), pairs, p.backward());
    return context
        .packs()
        .get(
            order,
            List.of(p.weight()),
            order.elements() * DType.BFLOAT16.bytes(),
            address -> pack(p.weight(), order, address));
  }

  private void pack(Buffer weight, Order order, long address) {
    context.launch(
        FILE,
        "tensor_convolution_pack",
        LaunchGeometry.threadEach(order.elements(), PACK_THREADS),
        context
            .arguments(weight)
            .longs(address, order.elements())
            .ints(order.rows(), order.columns(), order.pairs())
            .ints(order.backward() ? 0 : 1, order.backward() ? 1 : 0));
  }

  @Override
  public void close() {}
}
