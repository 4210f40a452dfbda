package org.unetrpp.backend.cuda;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Launches {@code kernels/tensor_patches.cu}: convolutions in bfloat16 whose kernel is their
 * stride, and the transposed ones. Activations must be aligned to 16 bytes.
 */
final class TensorPatches {
  private static final String FILE = "tensor_patches";
  private static final int THREADS = 128;
  private static final int COLUMNS = 32;
  private static final int TERMS = 64; // of a stage
  private static final int TILES_AT_ONCE = 32; // whose moments the last block merges alone
  private static final int MOST_TILINGS = 6; // that are tried

  // What is expected to take how long, in clocks of a multiprocessor.
  private static final int TICKET = 1200; // to see what other blocks have left
  private static final int BYTES_OF_CLOCK = 24; // from L2, where all multiprocessors read
  private static final int BYTES_OF_CLOCK_ALONE = 48; // where few do

  /** What a block computes, times 32 columns. */
  enum Tile {
    LARGE("large", 64),
    SMALL("small", 32);

    private final String suffix;
    private final int rows;

    Tile(String suffix, int rows) {
      this.suffix = suffix;
      this.rows = rows;
    }

    long elements() {
      return (long) rows * COLUMNS;
    }
  }

  /** How a kernel is launched. */
  record Tiling(Tile tile, Splits splits) {}

  /** What a tiling depends on. */
  private record Shape(Grid grid, Convolution convolution) {}

  /**
   * A product that is tiled.
   *
   * @param rows of an item
   */
  private record Product(int items, long rows, int terms, int columns) {
    long tiles(Tile tile) {
      return items * Math.ceilDiv(rows, tile.rows);
    }

    int groups() {
      return Math.ceilDiv(columns, COLUMNS);
    }

    int stages() {
      return Math.ceilDiv(terms, TERMS);
    }

    /** Clocks from the first block to the last, with so many multiprocessors. */
    double clocks(Tiling tiling, int multiprocessors) {
      Tile tile = tiling.tile();
      int splits = tiling.splits().count();
      long sums = tiles(tile) * groups();
      long rounds = Math.ceilDiv(sums * splits, multiprocessors);
      long read = Math.min((long) tiling.splits().steps() * TERMS, terms) * (tile.rows + COLUMNS);
      double clocks =
          (double) rounds * (read + tile.elements()) * DType.BFLOAT16.bytes() / BYTES_OF_CLOCK;
      if (splits > 1) {
        long merges = Math.ceilDiv(sums, multiprocessors);
        double bytes = (double) (rounds + merges * splits) * tile.elements() * Float.BYTES;
        clocks += TICKET + bytes / BYTES_OF_CLOCK_ALONE;
      }
      return clocks;
    }
  }

  private final CudaContext context;
  private final PackedFragments fragments;
  private final int multiprocessors;

  TensorPatches(CudaContext context) {
    this.context = context;
    fragments = new PackedFragments(context);
    multiprocessors = context.driver().device().multiprocessors();
  }

  /**
   * A convolution with kernel = stride, and the statistics of its result where they are asked for.
   *
   * @param grid of {@code x}
   */
  void forward(
      Buffer x,
      Buffer weight,
      Epilogue epilogue,
      @Nullable GroupStatistics statistics,
      Buffer y,
      Grid grid,
      Convolution shape) {
    Tiling tiling =
        context
            .tuner()
            .choose(
                FILE,
                "tensor_patches_embed",
                new Shape(grid, shape),
                forwardTilings(grid, shape),
                candidate -> forward(x, weight, epilogue, statistics, y, grid, shape, candidate));
    forward(x, weight, epilogue, statistics, y, grid, shape, tiling);
  }

  /** Ways to launch a convolution, the one first that is expected to be the quickest. */
  List<Tiling> forwardTilings(Grid grid, Convolution shape) {
    return tilings(product(grid, shape), true);
  }

  private static Product product(Grid grid, Convolution shape) {
    Grid patches = grid.dividedBy(shape.stride());
    int terms = Math.toIntExact(shape.kernel().voxels() * shape.inChannels());
    return new Product(grid.batch(), patches.tokens(), terms, shape.outChannels());
  }

  private List<Tiling> tilings(Product product, boolean areSplit) {
    List<Tiling> tilings = new ArrayList<>();
    for (Tile tile : Tile.values()) {
      int most = areSplit ? product.stages() : 1;
      for (int count = 1; count <= most; count++) {
        Tiling tiling = new Tiling(tile, Splits.of(1, product.stages(), count, count));
        if (!tilings.contains(tiling)) {
          tilings.add(tiling);
        }
      }
    }
    tilings.sort(Comparator.comparingDouble(tiling -> product.clocks(tiling, multiprocessors)));
    return List.copyOf(tilings.subList(0, Math.min(tilings.size(), MOST_TILINGS)));
  }

  void forward(
      Buffer x,
      Buffer weight,
      Epilogue epilogue,
      @Nullable GroupStatistics statistics,
      Buffer y,
      Grid grid,
      Convolution shape,
      Tiling tiling) {
    Product product = product(grid, shape);
    Tile tile = tiling.tile();
    int splits = tiling.splits().count();
    int tiles = Math.toIntExact(product.tiles(tile));
    int tilesOfItem = tiles / grid.batch();
    int groups = product.groups();
    long packed = packed(weight, shape);
    try (var _ = context.scopes().open()) {
      Buffer partials =
          splits == 1 ? null : context.floats((long) tiles * groups * splits * tile.elements());
      long splitTickets = splits == 1 ? 0 : (long) tiles * groups;
      StatisticsTiles measured =
          new StatisticsTiles(
              grid.batch(), tilesOfItem, groups, shape.outChannels(), TILES_AT_ONCE);
      long tickets = context.tickets(splitTickets + (statistics == null ? 0 : measured.tickets()));
      KernelArguments arguments =
          context
              .arguments(x)
              .longs(packed)
              .buffers(epilogue.bias(), epilogue.addend())
              .floats((float) epilogue.slope())
              .buffers(y, partials)
              .longs(tickets);
      if (statistics == null) {
        arguments.longs(0, 0, 0, 0).ints(0, 0, 0).floats(0);
      } else {
        Buffer moments = context.floats(measured.moments());
        long measuringTickets = tickets + splitTickets * Integer.BYTES;
        measured.add(arguments, statistics, moments, measuringTickets);
      }
      context.launch(
          FILE,
          CudaContext.entry("tensor_patches_embed_" + tile.suffix, x),
          LaunchGeometry.blocks(tiles, THREADS).grid(tiles, groups, splits),
          arguments
              .ints(tilesOfItem)
              .ints(shape.output(grid.extents()).toArray())
              .ints(shape.kernel().toArray())
              .ints(shape.inChannels(), shape.outChannels(), tiling.splits().steps()));
    }
  }

  private long packed(Buffer weight, Convolution shape) {
    return fragments.get(
        weight,
        new PackedFragments.Order(
            shape.inChannels(),
            shape.outChannels(),
            Math.toIntExact(shape.kernel().voxels()),
            true,
            true));
  }

  /**
   * A transposed convolution with kernel = stride.
   *
   * @param skip as {@code y}, which it may be, or none
   * @param grid of {@code x}
   */
  void transposed(
      Buffer x, Buffer weight, @Nullable Buffer skip, Buffer y, Grid grid, Convolution shape) {
    List<Tiling> tilings = transposedTilings(grid, shape);
    Tiling tiling =
        skip != null && skip.address() == y.address()
            ? tilings.getFirst() // would be added once for each one that is tried
            : context
                .tuner()
                .choose(
                    FILE,
                    "tensor_patches_upsample",
                    new Shape(grid, shape),
                    tilings,
                    candidate -> transposed(x, weight, skip, y, grid, shape, candidate));
    transposed(x, weight, skip, y, grid, shape, tiling);
  }

  /** Ways to launch a transposed convolution. */
  List<Tiling> transposedTilings(Grid grid, Convolution shape) {
    int columns = Math.toIntExact(shape.kernel().voxels() * shape.outChannels());
    return tilings(new Product(1, grid.rows(), shape.inChannels(), columns), false);
  }

  void transposed(
      Buffer x,
      Buffer weight,
      @Nullable Buffer skip,
      Buffer y,
      Grid grid,
      Convolution shape,
      Tiling tiling) {
    int taps = Math.toIntExact(shape.kernel().voxels());
    int columns = Math.multiplyExact(taps, shape.outChannels());
    int tiles = Math.toIntExact(Math.ceilDiv(grid.rows(), tiling.tile().rows));
    long packed =
        fragments.get(
            weight,
            new PackedFragments.Order(shape.inChannels(), shape.outChannels(), taps, false, false));
    context.launch(
        FILE,
        CudaContext.entry("tensor_patches_upsample_" + tiling.tile().suffix, x),
        LaunchGeometry.blocks(tiles, THREADS).grid(tiles, Math.ceilDiv(columns, COLUMNS), 1),
        context
            .arguments(x)
            .longs(packed)
            .buffers(skip, y)
            .longs(grid.rows())
            .ints(grid.extents().toArray())
            .ints(shape.kernel().toArray())
            .ints(shape.inChannels(), shape.outChannels()));
  }
}
