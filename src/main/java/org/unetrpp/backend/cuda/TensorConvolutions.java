package org.unetrpp.backend.cuda;

import java.util.ArrayList;
import java.util.Comparator;
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
 * Convolutions in bfloat16: of 3x3x3 kernels by {@code kernels/tensor_convolution.cu}, and of few
 * channels by {@link NarrowConvolutions}, forward, also with a tail, and the gradient with respect
 * to x; and those whose kernel is their stride by {@link TensorPatches}. Activations must be
 * aligned to 16 bytes.
 */
final class TensorConvolutions implements Convolutions, Library<Convolutions, ConvolutionWork> {
  static final String NAME = "tensor";

  /** One more wherever the kernels become quicker, so that what was measured is measured again. */
  static final int VERSION = 2;

  private static final String FILE = "tensor_convolution";
  private static final int COPIED_CHANNELS = 8; // 16 bytes
  private static final int FOUR = 4; // channels that a lane loads or stores
  private static final int CHUNK = TensorWeights.CHUNK;
  private static final int PAIR = TensorWeights.PAIR;
  private static final long ALIGNMENT = 16;

  private static final int THREADS = 128;
  private static final int TAIL_CHANNELS = 256; // at most
  private static final int MOST_TILINGS = 6; // that are tried

  // What is expected to take how long, in clocks of a multiprocessor.
  private static final int TICKET = 1200; // to see what other blocks have left
  private static final int BYTES_OF_CLOCK = 48; // from L2 to one multiprocessor
  private static final double CLOCKS_OF_PRODUCT = 1.7; // of 16 x 8 x 16
  private static final int PRODUCT = 16 * 8 * 16;

  /** What a block of the tiled kernels computes. */
  enum Tile {
    LARGE("large", new Extents(4, 8, 8), 32, 56_832, 128, 3670),
    SMALL("small", new Extents(4, 4, 4), 32, 78_336, 256, 1460),
    SLIM("slim", new Extents(4, 4, 4), 16, 66_560, 256, 870);

    private final String suffix;
    private final Extents extents;
    private final int columns;
    private final int sharedBytes;
    private final int tailChannels;
    private final int clocks;

    /**
     * A tile.
     *
     * @param columns channels of y
     * @param tailChannels that a tail may have for which shared memory has room
     * @param clocks of a multiprocessor for 16 channels of x: of large the products, of the others
     *     what comes from L2
     */
    Tile(
        String suffix,
        Extents extents,
        int columns,
        int sharedBytes,
        int tailChannels,
        int clocks) {
      this.suffix = suffix;
      this.extents = extents;
      this.columns = columns;
      this.sharedBytes = sharedBytes;
      this.tailChannels = tailChannels;
      this.clocks = clocks;
    }

    long count(Product p) {
      return p.grid().batch() * p.grid().extents().tiles(extents);
    }

    /** Groups of channels of y, each of which takes a block. */
    int groups(Product p) {
      return Math.ceilDiv(p.outChannels(), columns);
    }

    /** Of a block. */
    long elements() {
      return extents.voxels() * columns;
    }
  }

  /** How the tiled kernels are launched. */
  record Tiling(Tile tile, Splits splits) {
    /** Clocks from the first block to the last, with so many multiprocessors. */
    double clocks(Product p, int multiprocessors) {
      long tiles = tile.count(p);
      long sums = tiles * tile.groups(p);
      long rounds = Math.ceilDiv(sums * splits.count(), multiprocessors);
      double clocks = (double) rounds * splits.steps() * tile.clocks;
      if (splits.count() > 1) {
        long merges = Math.ceilDiv(sums, multiprocessors);
        long copies = rounds + merges * splits.count();
        clocks += TICKET + (double) copies * tile.elements() * Float.BYTES / BYTES_OF_CLOCK;
      }
      if (p.tail() != null) {
        double values = (double) tile.extents.voxels() * p.outChannels() * p.outChannels();
        clocks += Math.ceilDiv(tiles, multiprocessors) * values / PRODUCT * CLOCKS_OF_PRODUCT;
        clocks += tile.groups(p) > 1 ? TICKET : 0;
      }
      return clocks;
    }
  }

  /** What a tiling depends on. */
  private record TiledShape(Grid grid, int inChannels, int outChannels, boolean hasTail) {}

  /**
   * One launch that computes y or dx, in its own words: what is read is {@code x}, what is written
   * {@code y}.
   *
   * @param backward whether it is dx that is written, with the weights of y
   */
  record Product(
      Buffer x,
      Buffer weight,
      Epilogue epilogue,
      @Nullable Tail tail,
      Buffer y,
      Grid grid,
      int inChannels,
      int outChannels,
      boolean backward) {
    /** A forward pass. */
    Product(
        Buffer x,
        Buffer weight,
        Epilogue epilogue,
        @Nullable Tail tail,
        Buffer y,
        Grid grid,
        Convolution shape) {
      this(x, weight, epilogue, tail, y, grid, shape.inChannels(), shape.outChannels(), false);
    }

    int chunks() {
      return Math.ceilDiv(inChannels, CHUNK);
    }
  }

  private final CudaContext context;
  private final PackedFragments fragments;
  private final TensorPatches patches;
  private final NarrowConvolutions narrow;
  private final TensorWeights weights;
  private final int multiprocessors;

  TensorConvolutions(CudaContext context) {
    this.context = context;
    fragments = new PackedFragments(context);
    patches = new TensorPatches(context);
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
    if (!TensorCores.areOn(context.driver())) {
      return "the device has no bfloat16";
    }
    if (work.dtype() != DType.BFLOAT16) {
      return "is of type " + work.dtype();
    }
    if (work.direction() == Direction.BACKWARD_WEIGHTS) {
      return "gradients of weights are not computed";
    }
    if (isOfPatches(work.shape())) {
      return refusalOfPatches(work);
    }
    if (!work.shape().equals(Convolution.same3(in, out))) {
      return "is not 3x3x3 with stride 1 and padding 1";
    }
    return in % COPIED_CHANNELS != 0 || out % COPIED_CHANNELS != 0
        ? "%d to %d channels are no multiples of %d".formatted(in, out, COPIED_CHANNELS)
        : null;
  }

  private static boolean isOfPatches(Convolution shape) {
    return shape.kernel().voxels() > 1
        && shape.equals(
            Convolution.patches(shape.inChannels(), shape.outChannels(), shape.kernel()));
  }

  private static @Nullable String refusalOfPatches(ConvolutionWork work) {
    Convolution shape = work.shape();
    int run = shape.kernel().width() * shape.inChannels();
    if (!work.grid().extents().divisibleBy(shape.stride())) {
      return "patches do not fill " + work.grid().extents();
    }
    if (run % FOUR != 0) {
      return "%d neighboring values of a patch are no multiple of %d".formatted(run, FOUR);
    }
    return shape.outChannels() % COPIED_CHANNELS != 0
        ? "%d channels are no multiple of %d".formatted(shape.outChannels(), COPIED_CHANNELS)
        : null;
  }

  @Override
  public void forward(
      Buffer x, Buffer weight, Epilogue epilogue, Buffer y, Grid grid, Convolution shape) {
    if (isOfPatches(shape)) {
      patches.forward(x, weight, epilogue, null, y, grid, shape);
    } else {
      run(new Product(x, weight, epilogue, null, y, grid, shape));
    }
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
    requireAligned(x);
    requireAligned(y);
    if (isOfPatches(shape) && prologue == null) {
      patches.forward(x, weight, Epilogue.NONE, statistics, y, grid, shape);
      return true;
    }
    if (!takesPrologue(x, y, grid, shape)) {
      return Convolutions.super.forward(x, prologue, weight, statistics, y, grid, shape);
    }
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
  public boolean upsample(
      Buffer x, Buffer weight, @Nullable Buffer skip, Buffer y, Grid grid, Convolution shape) {
    patches.transposed(x, weight, skip, y, grid, shape);
    return true;
  }

  @Override
  public boolean takesTail(
      Buffer x, Epilogue epilogue, Tail tail, Buffer y, Grid grid, Convolution shape) {
    Buffer skip = tail.skip();
    return shape.equals(Convolution.same3(shape.inChannels(), shape.outChannels()))
        && shape.inChannels() > CHUNK
        && shape.outChannels() <= TAIL_CHANNELS
        && (skip == null || skip.address() != y.address());
  }

  @Override
  public void forward(
      Buffer x,
      Buffer weight,
      Epilogue epilogue,
      Tail tail,
      Buffer y,
      Grid grid,
      Convolution shape) {
    if (!takesTail(x, epilogue, tail, y, grid, shape)) {
      throw new IllegalArgumentException("%s cannot have a tail".formatted(shape));
    }
    run(new Product(x, weight, epilogue, tail, y, grid, shape));
  }

  @Override
  public boolean takesPrologue(Buffer x, Buffer y, Grid grid, Convolution shape) {
    return shape.equals(Convolution.same3(shape.inChannels(), shape.outChannels()))
        && NarrowConvolutions.take(shape.inChannels(), shape.outChannels());
  }

  @Override
  public void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    if (isOfPatches(shape)) {
      Convolution transposed =
          Convolution.patches(shape.outChannels(), shape.inChannels(), shape.kernel());
      patches.transposed(dy, weight, null, dx, grid.dividedBy(shape.stride()), transposed);
      return;
    }
    run(
        new Product(
            dy,
            weight,
            Epilogue.NONE,
            null,
            dx,
            grid,
            shape.outChannels(),
            shape.inChannels(),
            true));
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
    if (p.tail() != null && p.tail().skip() != null) {
      requireAligned(p.tail().skip());
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
    Tiling tiling =
        context
            .tuner()
            .choose(
                FILE,
                "tensor_convolution_tiled",
                new TiledShape(p.grid(), p.inChannels(), p.outChannels(), p.tail() != null),
                tilings(p),
                candidate -> tiled(p, candidate));
    tiled(p, tiling);
  }

  /** Ways to launch the tiled kernels, the one first that is expected to be the quickest. */
  List<Tiling> tilings(Product p) {
    List<Tiling> tilings = new ArrayList<>();
    for (Tile tile : Tile.values()) {
      if (p.tail() != null && p.outChannels() > tile.tailChannels) {
        continue;
      }
      for (int count = 1; count <= p.chunks(); count++) {
        Tiling tiling = new Tiling(tile, Splits.of(1, p.chunks(), count, count));
        if (!tilings.contains(tiling)) {
          tilings.add(tiling);
        }
      }
    }
    tilings.sort(Comparator.comparingDouble(tiling -> tiling.clocks(p, multiprocessors)));
    return List.copyOf(tilings.subList(0, Math.min(tilings.size(), MOST_TILINGS)));
  }

  void tiled(Product p, Tiling tiling) {
    Tile tile = tiling.tile();
    int splits = tiling.splits().count();
    int tiles = Math.toIntExact(tile.count(p));
    int groups = tile.groups(p);
    Tail tail = p.tail();
    long packed =
        weights.packed(
            p.weight(),
            new TensorWeights.Order(
                p.inChannels(), p.outChannels(), tile.columns / PAIR, p.backward()));
    long tailWeights =
        tail == null
            ? 0
            : fragments.get(tail.weight(), PackedFragments.Order.pointwise(p.outChannels()));
    long tickets =
        splits == 1 && (tail == null || groups == 1)
            ? 0
            : context.tickets((long) tiles * groups + tiles);
    try (var _ = context.scopes().open()) {
      Buffer partials =
          splits == 1 ? null : context.floats((long) tiles * groups * splits * tile.elements());
      context.launch(
          FILE,
          CudaContext.entry("tensor_convolution_" + tile.suffix, p.x()),
          LaunchGeometry.blocks(1, THREADS).grid(tiles, groups, splits).shared(tile.sharedBytes),
          context
              .arguments(p.x())
              .longs(packed)
              .buffers(p.y(), partials)
              .longs(tickets)
              .buffers(p.epilogue().bias(), p.epilogue().addend())
              .floats((float) p.epilogue().slope())
              .longs(tailWeights)
              .buffers(tail == null ? null : tail.bias(), tail == null ? null : tail.skip())
              .ints(p.grid().extents().toArray())
              .ints(p.inChannels(), p.outChannels(), tiling.splits().steps()));
    }
  }

  @Override
  public void close() {}
}
