package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.Cudnn.Direction;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Convolutions in bfloat16 by {@code kernels/tensor_convolution.cu}, and of few channels by {@link
 * NarrowConvolutions}: of 3x3x3 kernels, forward and the gradient with respect to x. Activations
 * must be aligned to 16 bytes.
 */
final class TensorConvolutions implements Convolutions, Library<Convolutions, ConvolutionWork> {
  static final String NAME = "tensor";

  /** One more wherever the kernels become quicker, so that what was measured is measured again. */
  static final int VERSION = 1;

  private static final String FILE = "tensor_convolution";
  private static final int BFLOAT16_MAJOR = 8; // compute capability that bfloat16 begins with
  private static final int COPIED_CHANNELS = 8; // 16 bytes
  private static final int CHUNK = TensorWeights.CHUNK;
  private static final int PAIR = TensorWeights.PAIR;
  private static final int MERGE_THREADS = 256;
  private static final int MERGED_VALUES = 4; // of a thread
  private static final long ALIGNMENT = 16;

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

  private final CudaContext context;
  private final NarrowConvolutions narrow;
  private final TensorWeights weights;
  private final int multiprocessors;

  TensorConvolutions(CudaContext context) {
    this.context = context;
    narrow = new NarrowConvolutions(context);
    weights = new TensorWeights(context);
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
  public boolean takesPrologue(Buffer x, Buffer y, Grid grid, Convolution shape) {
    return NarrowConvolutions.take(shape.inChannels(), shape.outChannels());
  }

  @Override
  public boolean forward(
      Buffer x,
      @Nullable Prologue prologue,
      Buffer weight,
      GroupStatistics statistics,
      Buffer y,
      Grid grid,
      Convolution shape) {
    if (!NarrowConvolutions.take(shape.inChannels(), shape.outChannels())) {
      return Convolutions.super.forward(x, prologue, weight, statistics, y, grid, shape);
    }
    requireAligned(x);
    requireAligned(y);
    narrow.measured(
        x,
        prologue,
        weight,
        statistics,
        y,
        new NarrowConvolutions.Shape(grid, shape.inChannels(), shape.outChannels(), false));
    return true;
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
    if (NarrowConvolutions.take(p.inChannels(), p.outChannels())) {
      narrow.forward(
          p.x(),
          p.weight(),
          p.epilogue(),
          p.y(),
          new NarrowConvolutions.Shape(p.grid(), p.inChannels(), p.outChannels(), p.backward()));
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

  private void tiled(Product p) {
    Tile tile =
        Tile.LARGE.cost(p, multiprocessors) <= Tile.SMALL.cost(p, multiprocessors)
            ? Tile.LARGE
            : Tile.SMALL;
    long packed =
        weights.packed(
            p.weight(),
            new TensorWeights.Order(p.inChannels(), p.outChannels(), COLUMNS / PAIR, p.backward()));
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

  @Override
  public void close() {}
}
