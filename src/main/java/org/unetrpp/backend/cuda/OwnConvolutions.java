package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** Convolutions by {@code kernels/convolution.cu}, for hosts without cuDNN and as its check. */
final class OwnConvolutions implements Convolutions {
  private static final String FILE = "convolution";
  private static final int THREADS = 128;

  /** Channels of a chunk of the tiled kernels. */
  private static final int CHUNK = 8;

  /** Terms of a step of the gathering kernels. */
  private static final int GATHERED_TERMS = 16;

  /** Where the gradients of weights are split between two voxels. */
  private static final int VOXELS_OF_STEP = 64;

  private static final Extents WEIGHTS_TILE = new Extents(4, 4, 8);
  private static final int WEIGHTS_TILE_CHANNELS = 16;
  private static final int WEIGHTS_TILE_THREADS = 144;
  private static final int WEIGHTS_ROWS = 64;
  private static final int WEIGHTS_COLUMNS = 32;

  /** Below, most of the 16 channels that a tile of the weights' gradient has would be empty. */
  private static final int LEAST_TILED_CHANNELS = 4;

  /**
   * Workspace for gradients of weights, 64 MB; where one copy of the gradient is larger, that much.
   */
  private static final long MOST_PARTIALS = (64L << 20) / Float.BYTES;

  /** Blocks for each multiprocessor that splitting aims at. */
  private static final int FORWARD_BLOCKS = 2;

  private static final int WEIGHTS_BLOCKS = 4;

  /** What a block of a tiled kernel computes. */
  private enum Tile {
    LARGE("large", new Extents(4, 8, 8), 16),
    SMALL("small", new Extents(4, 4, 4), 32);

    private final String suffix;
    private final Extents extents;
    private final int columns;

    Tile(String suffix, Extents extents, int columns) {
      this.suffix = suffix;
      this.extents = extents;
      this.columns = columns;
    }
  }

  /** What a block of a gathering kernel computes. */
  private enum Gather {
    NARROW("convolution_forward_gather_narrow", 128, 16),
    WIDE("convolution_forward_gather_wide", 64, 32),
    BACKWARD("convolution_backward_data_gather", 64, 32);

    private final String entry;
    private final int rows;
    private final int columns;

    Gather(String entry, int rows, int columns) {
      this.entry = entry;
      this.rows = rows;
      this.columns = columns;
    }
  }

  /**
   * One launch of a kernel that computes y or dx, in its own words: what is read is {@code x}, what
   * is written {@code y}.
   *
   * @param backward whether it is dx that is written, with the weights of y
   */
  private record Product(
      Buffer x,
      @Nullable Prologue prologue,
      Buffer weight,
      Epilogue epilogue,
      @Nullable GroupStatistics statistics,
      Buffer y,
      int batch,
      int inChannels,
      int outChannels,
      boolean backward) {
    /** A forward pass. */
    Product(
        Buffer x,
        @Nullable Prologue prologue,
        Buffer weight,
        Epilogue epilogue,
        @Nullable GroupStatistics statistics,
        Buffer y,
        Grid grid,
        Convolution shape) {
      this(
          x,
          prologue,
          weight,
          epilogue,
          statistics,
          y,
          grid.batch(),
          shape.inChannels(),
          shape.outChannels(),
          false);
    }
  }

  private final CudaContext context;
  private final PackedWeights weights;
  private final PartialSums sums;
  private final TransposedConvolutionKernels transposed;
  private final int multiprocessors;

  OwnConvolutions(CudaContext context) {
    this.context = context;
    weights = new PackedWeights(context);
    sums = new PartialSums(context);
    transposed = new TransposedConvolutionKernels(context, this);
    multiprocessors = context.driver().device().multiprocessors();
  }

  @Override
  public String name() {
    return "own";
  }

  @Override
  public void forward(
      Buffer x, Buffer weight, Epilogue epilogue, Buffer y, Grid grid, Convolution shape) {
    forward(new Product(x, null, weight, epilogue, null, y, grid, shape), grid.extents(), shape);
  }

  @Override
  public boolean takesPrologue(Buffer x, Buffer y, Grid grid, Convolution shape) {
    return isTiled(shape);
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
    Extents extents = grid.extents();
    boolean taken =
        isTiled(shape)
            || grid.batch() == 1
            || shape.output(extents).voxels() % gather(shape).rows == 0; // no tile of two items
    Product product =
        new Product(x, prologue, weight, Epilogue.NONE, taken ? statistics : null, y, grid, shape);
    forward(product, extents, shape);
    return taken;
  }

  private void forward(Product product, Extents extents, Convolution shape) {
    if (isTiled(shape)) {
      tiled(product, extents);
    } else {
      gathered(product, gather(shape), extents, shape.output(extents), shape);
    }
  }

  private static boolean isTiled(Convolution shape) {
    return shape.equals(Convolution.same3(shape.inChannels(), shape.outChannels()));
  }

  private static Gather gather(Convolution shape) {
    return shape.outChannels() <= Gather.NARROW.columns ? Gather.NARROW : Gather.WIDE;
  }

  @Override
  public void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    int in = shape.inChannels();
    int out = shape.outChannels();
    Product product =
        new Product(dy, null, weight, Epilogue.NONE, null, dx, grid.batch(), out, in, true);
    Extents extents = grid.extents();
    if (isTiled(shape)) {
      tiled(product, extents);
    } else if (shape.equals(Convolution.patches(in, out, shape.kernel()))
        && extents.divisibleBy(shape.stride())) {
      transposed.forward(
          dy,
          weight,
          null,
          dx,
          grid.dividedBy(shape.stride()),
          Convolution.patches(out, in, shape.kernel()));
    } else {
      gathered(product, Gather.BACKWARD, shape.output(extents), extents, shape);
    }
  }

  private void tiled(Product p, Extents extents) {
    Tile tile = blocks(Tile.LARGE, p, extents) >= multiprocessors ? Tile.LARGE : Tile.SMALL;
    int columnTiles = Math.ceilDiv(p.outChannels(), tile.columns);
    long tiles = p.batch() * extents.tiles(tile.extents);
    int padded = columnTiles * tile.columns;
    long packed = pack(p, 27, padded, p.backward());
    int chunks = Math.ceilDiv(p.inChannels(), CHUNK);
    Splits splits = splits(tiles * columnTiles, chunks);
    try (var _ = context.scopes().open()) {
      Buffer partials = partials(p, splits);
      context.launch(
          FILE,
          CudaContext.entry("convolution_forward_tiled_" + tile.suffix, p.x()),
          LaunchGeometry.blocks(tiles, THREADS)
              .grid(Math.toIntExact(tiles), columnTiles, splits.count()),
          start(input(p), p, packed, partials, tiles, columnTiles)
              .ints(p.batch(), extents.depth(), extents.height(), extents.width())
              .ints(p.inChannels(), p.outChannels(), padded, splits.steps()));
    }
  }

  private static long blocks(Tile tile, Product p, Extents extents) {
    return p.batch() * extents.tiles(tile.extents) * Math.ceilDiv(p.outChannels(), tile.columns);
  }

  /** With the volumes {@code in} that is read and {@code out} that is written. */
  private void gathered(Product p, Gather gather, Extents in, Extents out, Convolution shape) {
    long rows = p.batch() * out.voxels();
    long tiles = Math.ceilDiv(rows, gather.rows);
    int columnTiles = Math.ceilDiv(p.outChannels(), gather.columns);
    int padded = columnTiles * gather.columns;
    int taps = Math.toIntExact(shape.kernel().voxels());
    long packed = pack(p, taps, padded, false);
    long terms = Math.multiplyExact(taps, p.inChannels());
    Splits splits = splits(tiles * columnTiles, Math.ceilDiv(terms, GATHERED_TERMS));
    try (var _ = context.scopes().open()) {
      Buffer partials = partials(p, splits);
      KernelArguments arguments =
          start(context.arguments(p.x()), p, packed, partials, tiles, columnTiles).longs(rows);
      context.launch(
          FILE,
          CudaContext.entry(gather.entry, p.x()),
          LaunchGeometry.blocks(tiles, THREADS)
              .grid(Math.toIntExact(tiles), columnTiles, splits.count()),
          geometry(arguments, in, out, shape)
              .ints(p.inChannels(), p.outChannels(), padded, splits.steps()));
    }
  }

  private long pack(Product p, int taps, int padded, boolean flipped) {
    return weights.get(
        p.weight(),
        new PackedWeights.Order(
            p.inChannels(), p.outChannels(), taps, 1, padded, !p.backward(), flipped));
  }

  private Splits splits(long tiles, long steps) {
    return Splits.of(tiles, steps, (long) FORWARD_BLOCKS * multiprocessors, Long.MAX_VALUE);
  }

  private @Nullable Buffer partials(Product p, Splits splits) {
    return splits.count() == 1 ? null : context.floats(splits.count() * p.y().elements());
  }

  /** What the tiled kernels read. */
  private KernelArguments input(Product p) {
    Prologue prologue = p.prologue();
    return context
        .arguments(p.x(), prologue == null ? null : prologue.coefficients())
        .floats(prologue == null ? 1 : (float) prologue.slope());
  }

  /** Arguments that all kernels have, behind what they read. */
  private KernelArguments start(
      KernelArguments input,
      Product p,
      long packed,
      @Nullable Buffer partials,
      long tiles,
      int columnTiles) {
    GroupStatistics statistics = p.statistics();
    long splitTickets = partials == null ? 0 : tiles * columnTiles;
    if (statistics == null) {
      long tickets = splitTickets == 0 ? 0 : context.tickets(splitTickets);
      return start(input, p, packed, partials, tickets).longs(0, 0, 0, 0).ints(0, 0, 0).floats(0);
    }
    StatisticsTiles statisticsTiles =
        new StatisticsTiles(
            p.batch(), Math.toIntExact(tiles / p.batch()), columnTiles, p.outChannels());
    long tickets = context.tickets(splitTickets + statisticsTiles.tickets());
    return statisticsTiles.add(
        start(input, p, packed, partials, tickets),
        statistics,
        context.floats(statisticsTiles.moments()),
        tickets + splitTickets * Integer.BYTES);
  }

  private static KernelArguments start(
      KernelArguments input, Product p, long packed, @Nullable Buffer partials, long tickets) {
    Epilogue epilogue = p.epilogue();
    return input
        .longs(packed)
        .buffers(epilogue.bias(), epilogue.addend())
        .floats((float) epilogue.slope())
        .buffers(p.y(), partials)
        .longs(tickets);
  }

  private static KernelArguments geometry(
      KernelArguments arguments, Extents in, Extents out, Convolution shape) {
    return arguments
        .ints(in.toArray())
        .ints(out.toArray())
        .ints(shape.kernel().toArray())
        .ints(shape.stride().toArray())
        .ints(shape.padding().toArray());
  }

  @Override
  public void backwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    int in = shape.inChannels();
    int out = shape.outChannels();
    boolean tiled =
        shape.equals(Convolution.same3(in, out)) && Math.min(in, out) >= LEAST_TILED_CHANNELS;
    int taps = Math.toIntExact(shape.kernel().voxels());
    long values = dweight.elements();
    long stride = values + (dbias == null ? 0 : out);
    int rowTiles =
        tiled
            ? Math.ceilDiv(in, WEIGHTS_TILE_CHANNELS)
            : Math.ceilDiv(Math.multiplyExact(taps, in), WEIGHTS_ROWS);
    int columnTiles = Math.ceilDiv(out, tiled ? WEIGHTS_TILE_CHANNELS : WEIGHTS_COLUMNS);
    Extents written = shape.output(grid.extents());
    long voxels = grid.batch() * written.voxels();
    Splits splits =
        Splits.of(
            (long) rowTiles * columnTiles,
            tiled
                ? grid.batch() * grid.extents().tiles(WEIGHTS_TILE)
                : Math.ceilDiv(voxels, VOXELS_OF_STEP),
            (long) WEIGHTS_BLOCKS * multiprocessors,
            MOST_PARTIALS / stride);
    try (var _ = context.scopes().open()) {
      Buffer partials = context.floats(splits.count() * stride);
      KernelArguments arguments = context.arguments(x, dy, partials).longs(stride);
      int withBias = dbias == null ? 0 : 1;
      if (tiled) {
        context.launch(
            FILE,
            CudaContext.entry("convolution_backward_weights_tiled", x),
            LaunchGeometry.blocks(1, WEIGHTS_TILE_THREADS)
                .grid(splits.count(), rowTiles, columnTiles),
            arguments
                .ints(grid.batch())
                .ints(written.toArray())
                .ints(in, out, splits.steps(), withBias));
      } else {
        context.launch(
            FILE,
            CudaContext.entry("convolution_backward_weights_gather", x),
            LaunchGeometry.blocks(1, THREADS).grid(splits.count(), rowTiles, columnTiles),
            geometry(arguments.longs(voxels), grid.extents(), written, shape)
                .ints(in, out)
                .longs((long) splits.steps() * VOXELS_OF_STEP)
                .ints(withBias));
      }
      sums.add(partials, dweight, stride, splits.count(), taps, in, out);
      if (dbias != null) {
        Buffer first = partials.slice(values, partials.elements() - values);
        sums.add(first, dbias, stride, splits.count());
      }
    }
  }
}
