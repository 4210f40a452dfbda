package org.unetrpp.backend.cuda;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.cuda.driver.DeviceProperties;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Launches {@code kernels/tensor_attention.cu}, whose comment has the formulas: attention in
 * evaluation mode, in bfloat16, in three launches.
 */
final class TensorAttention {
  private static final String FILE = "tensor_attention";
  private static final float EPSILON = (float) ChannelNorm.EPSILON;
  private static final List<Integer> CHANNELS = List.of(32, 64, 128, 256);
  private static final List<Integer> PROJECTED = List.of(32, 64, 128); // kernels are compiled for
  private static final int MOST_HEAD_CHANNELS = 64;
  private static final int THREADS = 256;
  private static final int WARPS = 8;
  private static final int LANES = 32;
  private static final long ALIGNMENT = 16;

  /** Rows and columns of a product of matrices, and what it sums over. */
  private static final int ROWS = 16;

  private static final int COLUMNS = 8;
  private static final int INNER = 16;

  /** Rows that a lane holds 16 bytes of, and what those are. */
  private static final int STEP = 32;

  private static final int LANE_BYTES = 16;

  /** Between rows in shared memory. */
  private static final int PADDING = 8;

  /** Of the sums, that a block of maps takes. */
  private static final int MAP_COLUMNS = 32;

  private static final int MOST_ROWS_OF_SUMS = 64;
  private static final int MOST_COLUMNS_OF_SUMS = 32; // times 8
  private static final int MOST_TOKENS_OF_TILE = 256;
  private static final int MOST_RUNS_OF_GROUP = 16;
  private static final int ROWS_OF_MAPS = 64; // of weights, that a block of maps takes
  private static final int MOST_CHUNKS = 8;

  // Estimated clocks of a multiprocessor, to compare configurations with one another.
  private static final int CLOCKS_OF_BLOCK = 1500;
  private static final int BLOCKS_AT_ONCE = 2; // that hide one another's waiting
  private static final int BYTES_IN_A_CLOCK = 40; // that come from L2
  private static final int BYTES_OF_TOKEN_VALUE = 6; // x and positions
  private static final int CLOCKS_OF_TILE = 1000;
  private static final int CLOCKS_OF_PRODUCT = 2;
  private static final int CLOCKS_OF_LAST_BLOCK = 1500;

  /** What a normalization makes of x before anything else: of (x - mean) factor + shift. */
  record EntryNorm(Buffer coefficients, Buffer shift) {}

  /**
   * Sizes of attention, without the batch: what is done to an item does not depend on others.
   *
   * @param padded projected tokens, as a multiple of 32
   */
  record Sizes(
      int channels, int heads, int tokens, int padded, boolean twoProjections, boolean hasLayers) {
    static Sizes of(PairedAttentionParameters p) {
      int padded = PROJECTED.stream().filter(most -> p.projected() <= most).findFirst().orElse(0);
      return new Sizes(
          p.channels(), p.heads(), p.tokens(), padded, p.hasTwoProjections(), p.fusion() != null);
    }

    int headChannels() {
      return channels / heads;
    }

    /** Channels of a head that products sum over. */
    int inner() {
      return Math.max(headChannels(), INNER);
    }

    /** Columns of the sums. */
    int width() {
      return channels + (twoProjections ? 2 : 1) * padded;
    }

    /** Columns of V. */
    int outputs() {
      return hasLayers ? channels / 2 : channels;
    }

    int rowBytes() {
      return (channels + PADDING) * DType.BFLOAT16.bytes();
    }

    /** Rows of y that are made of the same pairs of head and token, and of pairs of their own. */
    int rowsOfClass() {
      long common = commonDivisor((long) heads * tokens, channels);
      return Math.toIntExact(common / heads);
    }

    int classes() {
      return tokens / rowsOfClass();
    }

    /** Whether each class has neighboring tokens of one head. */
    boolean hasChunks() {
      return tokens % channels == 0;
    }

    /** Of a head's channels, from one row of a class to the next. */
    int rowStep() {
      return channels / (rowsOfClass() * heads);
    }

    private static long commonDivisor(long a, long b) {
      return BigInteger.valueOf(a).gcd(BigInteger.valueOf(b)).longValueExact();
    }
  }

  /**
   * How sums are divided.
   *
   * @param run tokens of a block
   * @param tileTokens of those that a block has in shared memory at once
   * @param partColumns columns of a block, times 8
   * @param group runs whose sums are added up before maps are made
   */
  record SumTiling(int run, int tileTokens, int partColumns, int group) {
    int runs(Sizes sizes) {
      return Math.ceilDiv(sizes.tokens(), run);
    }

    int parts(Sizes sizes) {
      return Math.ceilDiv(sizes.width(), COLUMNS * partColumns) * rowParts(sizes);
    }

    private static int rowParts(Sizes sizes) {
      return Math.ceilDiv(sizes.channels(), MOST_ROWS_OF_SUMS);
    }

    int groups(Sizes sizes) {
      return Math.ceilDiv(runs(sizes), group);
    }

    int sharedBytes(Sizes sizes) {
      int projected = Math.min(partColumns, (sizes.width() - sizes.channels()) / COLUMNS);
      return tileTokens * sizes.rowBytes() + projected * tileTokens / STEP * LANES * LANE_BYTES;
    }

    long clocks(Sizes sizes, int multiprocessors) {
      long waves = Math.ceilDiv((long) runs(sizes) * parts(sizes), multiprocessors);
      long rows = Math.min(sizes.channels(), MOST_ROWS_OF_SUMS);
      long products = run / INNER * (rows / ROWS) * partColumns;
      long projectedBytes = (long) run * partColumns * COLUMNS * DType.BFLOAT16.bytes();
      long bytes = (long) run * sizes.channels() * BYTES_OF_TOKEN_VALUE + projectedBytes;
      long block =
          Math.ceilDiv(run, tileTokens) * (long) CLOCKS_OF_TILE
              + bytes / BYTES_IN_A_CLOCK
              + products * CLOCKS_OF_PRODUCT;
      long addedBytes = 0; // by the last block of a group, and by a block of maps
      if (group > 1) {
        block += CLOCKS_OF_LAST_BLOCK;
        addedBytes = group * rows * partColumns * COLUMNS * Float.BYTES;
      }
      addedBytes += (long) groups(sizes) * sizes.channels() * MAP_COLUMNS * Float.BYTES;
      return waves * block + addedBytes / BYTES_IN_A_CLOCK;
    }

    /** The ways that fit, the one expected quickest first. */
    static List<SumTiling> candidates(Sizes sizes, int multiprocessors, int sharedBytes) {
      List<SumTiling> fitting = new ArrayList<>();
      int columns = sizes.width() / COLUMNS;
      for (int parts = Math.ceilDiv(columns, MOST_COLUMNS_OF_SUMS); parts <= columns; parts++) {
        int partColumns = Math.ceilDiv(columns, parts);
        if (partColumns < WARPS && parts > 1) {
          break;
        }
        for (int tile = STEP; tile <= MOST_TOKENS_OF_TILE; tile *= 2) {
          int tiles = Math.ceilDiv(sizes.tokens(), tile);
          for (int tilesOfRun = 1; tilesOfRun <= tiles; tilesOfRun *= 2) {
            int run = tile * tilesOfRun;
            int runs = Math.ceilDiv(sizes.tokens(), run);
            for (int group = 1; group <= Math.min(runs, MOST_RUNS_OF_GROUP); group *= 2) {
              SumTiling tiling = new SumTiling(run, tile, partColumns, group);
              if (tiling.sharedBytes(sizes) <= sharedBytes && !fitting.contains(tiling)) {
                fitting.add(tiling);
              }
            }
          }
        }
      }
      fitting.sort(Comparator.comparingLong(tiling -> tiling.clocks(sizes, multiprocessors)));
      return fitting;
    }
  }

  /** What the choice of an {@link OutputTiling} depends on. */
  record OutputShape(Sizes sizes, int batch) {}

  /**
   * How the rows of y are divided.
   *
   * @param chunks of C neighboring tokens of a block
   * @param blockHeads heads of a block
   * @param parts that the rows of a class are divided into
   * @param divided whether some blocks make the spatial half of the rows, others the channel half
   */
  record OutputTiling(int chunks, int blockHeads, int parts, boolean divided) {
    int gridY() {
      return divided ? 2 * parts : parts;
    }

    long blocks(OutputShape shape) {
      Sizes sizes = shape.sizes();
      return (long) classGroups(sizes) * gridY() * shape.batch();
    }

    int classGroups(Sizes sizes) {
      return sizes.hasChunks()
          ? Math.ceilDiv(sizes.classes() / sizes.heads(), chunks) * (sizes.heads() / blockHeads)
          : sizes.classes();
    }

    private int rows(Sizes sizes) {
      return chunks * blockHeads * Math.ceilDiv(sizes.rowsOfClass(), parts);
    }

    private int pairTokens(Sizes sizes) {
      return Math.min(sizes.tokens(), chunks * sizes.channels());
    }

    int sharedBytes(Sizes sizes) {
      int rows = Math.ceilDiv(rows(sizes), ROWS) * ROWS;
      return (pairTokens(sizes) + 3 * rows) * sizes.rowBytes();
    }

    long clocks(OutputShape shape, int multiprocessors) {
      Sizes sizes = shape.sizes();
      int channels = sizes.channels();
      long columns = sizes.padded() / COLUMNS;
      int rowTiles = Math.ceilDiv(rows(sizes), ROWS);
      long units = (long) chunks * blockHeads * Math.ceilDiv(channels, ROWS);
      long unitProducts =
          columns * channels / INNER
              + sizes.headChannels() / COLUMNS * (long) sizes.padded() / INNER
              + 3 * columns; // as many clocks as the softmax takes
      long layerProducts = (long) rowTiles * channels / COLUMNS * channels / INNER;
      long tokenBytes = (long) channels * BYTES_OF_TOKEN_VALUE;
      long weightBytes = (long) channels * channels * DType.BFLOAT16.bytes();
      long mapBytes = (long) blockHeads * channels * sizes.padded() * DType.BFLOAT16.bytes();
      long spatial =
          (pairTokens(sizes) * tokenBytes + mapBytes + weightBytes / 2) / BYTES_IN_A_CLOCK
              + (Math.ceilDiv(units, WARPS) * WARPS * unitProducts + layerProducts / 2)
                  * CLOCKS_OF_PRODUCT;
      long channel =
          (rows(sizes) * tokenBytes + weightBytes * 3 / 2) / BYTES_IN_A_CLOCK
              + layerProducts * 3 / 2 * CLOCKS_OF_PRODUCT;
      long longest = divided ? Math.max(spatial, channel) : spatial + channel;
      long mean = divided ? (spatial + channel) / 2 : spatial + channel;
      long others = Math.ceilDiv(blocks(shape), multiprocessors) - 1; // of a multiprocessor
      return CLOCKS_OF_BLOCK + longest + others * (CLOCKS_OF_BLOCK + mean) / BLOCKS_AT_ONCE;
    }

    /** The ways that fit, the one expected quickest first; none if none does. */
    static List<OutputTiling> candidates(OutputShape shape, int multiprocessors, int sharedBytes) {
      List<OutputTiling> all = new ArrayList<>();
      Sizes sizes = shape.sizes();
      if (sizes.hasChunks()) {
        for (int chunks = 1; chunks <= MOST_CHUNKS; chunks *= 2) {
          for (int heads = 1; heads <= sizes.heads(); heads++) {
            if (sizes.heads() % heads == 0) {
              all.add(new OutputTiling(chunks, heads, 1, false));
            }
          }
        }
      }
      int mostParts = Math.ceilDiv(sizes.rowsOfClass(), ROWS);
      for (int parts = sizes.hasChunks() ? 2 : 1; parts <= mostParts; parts++) {
        if (Math.ceilDiv(sizes.rowsOfClass(), Math.ceilDiv(sizes.rowsOfClass(), parts)) == parts) {
          all.add(new OutputTiling(1, 1, parts, false));
        }
      }
      if (sizes.hasLayers()) {
        for (OutputTiling tiling : List.copyOf(all)) {
          all.add(new OutputTiling(tiling.chunks(), tiling.blockHeads(), tiling.parts(), true));
        }
      }
      return all.stream()
          .filter(tiling -> tiling.sharedBytes(sizes) <= sharedBytes)
          .sorted(Comparator.comparingLong(tiling -> tiling.clocks(shape, multiprocessors)))
          .toList();
    }
  }

  /**
   * A matrix, or groups of them, in the order that lanes hold it.
   *
   * @param tiles of 8 rows
   * @param steps of 32 columns, or of 16 if {@code split}
   * @param split whether values are kept in two parts
   * @param exchanged whether the places of rows are exchanged
   */
  private record Order(
      long offset,
      int rows,
      int columns,
      long rowStride,
      long columnStride,
      long groupStride,
      int groups,
      int tiles,
      int steps,
      boolean split,
      boolean exchanged) {
    long lanes() {
      return (long) groups * tiles * steps * LANES;
    }
  }

  private final CudaContext context;
  private final DeviceProperties device;
  private final boolean isAllowed;

  TensorAttention(CudaContext context) {
    this.context = context;
    device = context.driver().device();
    isAllowed = TensorCores.mayCompute(context.driver());
  }

  /** Whether the kernels may compute attention of such sizes, on this device. */
  boolean takes(Buffer x, PairedAttentionParameters p, Buffer y) {
    if (!isAllowed
        || x.dtype() != DType.BFLOAT16
        || !CHANNELS.contains(p.channels())
        || p.headChannels() % COLUMNS != 0
        || p.headChannels() > MOST_HEAD_CHANNELS
        || p.projected() > PROJECTED.getLast()
        || !isAligned(x)
        || !isAligned(y)
        || !isAligned(p.positions())) {
      return false;
    }
    Sizes sizes = Sizes.of(p);
    return mapsSharedBytes(sizes) <= device.sharedBytesPerBlock()
        && !outputTilings(new OutputShape(sizes, 1)).isEmpty();
  }

  private static boolean isAligned(Buffer buffer) {
    return buffer.address() % ALIGNMENT == 0;
  }

  /** Ways to divide sums on this device, the one expected quickest first. */
  List<SumTiling> sumTilings(Sizes sizes) {
    return SumTiling.candidates(sizes, device.multiprocessors(), device.sharedBytesPerBlock());
  }

  /** Ways to divide the rows of y on this device, the one expected quickest first. */
  List<OutputTiling> outputTilings(OutputShape shape) {
    return OutputTiling.candidates(shape, device.multiprocessors(), device.sharedBytesPerBlock());
  }

  private static int mapsSharedBytes(Sizes sizes) {
    int d = sizes.headChannels();
    int columns = 2 * sizes.channels() * (MAP_COLUMNS + PADDING) * DType.BFLOAT16.bytes();
    int rowBytes = 2 * sizes.inner() * DType.BFLOAT16.bytes(); // of a column in two parts
    int keys = d * Float.BYTES + rowBytes * (sizes.padded() + PADDING);
    int map = (d * (d + 1) + 2 * d) * Float.BYTES + rowBytes * (d + PADDING);
    return Math.max(columns, Math.max(keys, map));
  }

  /**
   * As {@link org.unetrpp.backend.Boxes#pairedAttention}, of what {@link #takes} says.
   *
   * @param norm applied to {@code x} first, or none
   */
  void forward(
      Buffer x, @Nullable EntryNorm norm, PairedAttentionParameters p, Buffer y, int batch) {
    try (var _ = context.scopes().open()) {
      Run run = new Run(x, norm, p, y, batch);
      run.makeMaps();
      run.output();
    }
  }

  /** The same divided in given ways. */
  void forward(
      Buffer x,
      @Nullable EntryNorm norm,
      PairedAttentionParameters p,
      Buffer y,
      int batch,
      SumTiling sumTiling,
      OutputTiling outputTiling) {
    try (var _ = context.scopes().open()) {
      Run run = new Run(x, norm, p, y, batch);
      run.makeMaps(sumTiling);
      run.output(outputTiling);
    }
  }

  /** One call. */
  private final class Run {
    private final Buffer x;
    private final @Nullable EntryNorm norm;
    private final PairedAttentionParameters p;
    private final Buffer y;
    private final int batch;
    private final Sizes sizes;
    private final Buffer logitMaps;
    private final Buffer projectedValues;
    private final Buffer channelMaps;

    Run(Buffer x, @Nullable EntryNorm norm, PairedAttentionParameters p, Buffer y, int batch) {
      this.x = x;
      this.norm = norm;
      this.p = p;
      this.y = y;
      this.batch = batch;
      sizes = Sizes.of(p);
      long channels = sizes.channels();
      logitMaps = pairs(sizes.heads() * channels * sizes.padded());
      projectedValues = pairs(channels * sizes.padded());
      channelMaps = pairs(channels * sizes.outputs());
    }

    /** Room for so many values of bfloat16 of each item. */
    private Buffer pairs(long values) {
      return context.floats(batch * values / 2);
    }

    void makeMaps() {
      List<SumTiling> tilings = sumTilings(sizes);
      makeMaps(context.tuner().choose(FILE, FILE + "_sums", sizes, tilings, this::makeMaps));
    }

    /** Sums, then the maps made of them. */
    void makeMaps(SumTiling tiling) {
      int groups = tiling.groups(sizes);
      try (var _ = context.scopes().open()) {
        Buffer sums = context.floats((long) batch * groups * sizes.channels() * sizes.width());
        sumTokens(tiling, sums);
        makeMaps(sums, groups);
      }
    }

    private KernelArguments tokenArguments() {
      return context.arguments(
          x,
          p.positions(),
          norm == null ? null : norm.coefficients(),
          norm == null ? null : norm.shift(),
          p.normGamma(),
          p.normBeta());
    }

    private void sumTokens(SumTiling tiling, Buffer sums) {
      int runs = tiling.runs(sizes);
      int parts = tiling.parts(sizes);
      long keys = packedProjection(p.keys());
      long values = packedProjection(p.values());
      long tickets = (long) batch * parts * tiling.groups(sizes);
      long size = (long) sizes.channels() * sizes.width();
      try (var _ = context.scopes().open()) {
        Buffer partials = tiling.group() == 1 ? null : context.floats(size * batch * runs);
        context.launch(
            FILE,
            FILE + "_sums_" + sizes.channels(),
            new LaunchGeometry(runs, parts, batch, THREADS, 1, 1, tiling.sharedBytes(sizes)),
            tokenArguments()
                .longs(keys, values)
                .buffers(partials, sums)
                .longs(context.tickets(tickets))
                .ints(
                    sizes.tokens(),
                    sizes.padded(),
                    sizes.width(),
                    tiling.run(),
                    tiling.tileTokens(),
                    tiling.group(),
                    tiling.partColumns())
                .floats(EPSILON));
      }
    }

    private void makeMaps(Buffer sums, int groups) {
      int channels = sizes.channels();
      int d = sizes.headChannels();
      long rows = packed(p.qkvv(), rows(0, 4 * channels, true, false));
      Order ofQueries =
          new Order(
              0,
              channels,
              d,
              1,
              channels,
              (long) d * channels,
              sizes.heads(),
              channels / COLUMNS,
              sizes.inner() / INNER,
              true,
              false);
      long queries = packed(p.qkvv(), ofQueries);
      Concatenation fusion = p.fusion();
      long weights = fusion == null ? 0 : packed(fusion.channelWeight(), ofChannelWeights());
      long products = (long) batch * channels / MAP_COLUMNS * sizes.heads() * (d + 2L) * d;
      try (var _ = context.scopes().open()) {
        context.launch(
            FILE,
            FILE + "_maps",
            new LaunchGeometry(
                sizes.width() / MAP_COLUMNS * Math.ceilDiv(2 * d, ROWS_OF_MAPS),
                sizes.heads(),
                batch,
                THREADS,
                1,
                1,
                mapsSharedBytes(sizes)),
            context
                .arguments(sums, p.qkvv())
                .longs(rows, queries, weights)
                .buffers(
                    p.keys().bias(),
                    p.values().bias(),
                    p.temperature(),
                    p.temperature2(),
                    context.floats(products),
                    context.floats((long) batch * channels * sizes.padded()),
                    projectedValues,
                    logitMaps,
                    channelMaps)
                .longs(context.tickets(2L * batch * sizes.heads()))
                .ints(
                    channels,
                    sizes.heads(),
                    p.projected(),
                    sizes.padded(),
                    sizes.width(),
                    groups,
                    sizes.twoProjections() ? 1 : 0));
      }
    }

    void output() {
      OutputShape shape = new OutputShape(sizes, batch);
      output(
          context
              .tuner()
              .choose(FILE, FILE + "_output", shape, outputTilings(shape), this::output));
    }

    void output(OutputTiling tiling) {
      int channels = sizes.channels();
      Concatenation fusion = p.fusion();
      long channelValues = packed(p.qkvv(), rows(2L * channels * channels, channels, false, false));
      long spatialWeights =
          fusion == null ? 0 : packed(fusion.spatialWeight(), rows(0, channels / 2, false, true));
      context.launch(
          FILE,
          "%s_output_%d_%d".formatted(FILE, channels, sizes.padded()),
          new LaunchGeometry(
              tiling.classGroups(sizes),
              tiling.gridY(),
              batch,
              THREADS,
              1,
              1,
              tiling.sharedBytes(sizes)),
          tokenArguments()
              .buffers(logitMaps, projectedValues, channelMaps)
              .longs(channelValues, spatialWeights)
              .buffers(
                  fusion == null ? null : fusion.spatialBias(),
                  fusion == null ? null : fusion.channelBias(),
                  p.gamma(),
                  y)
              .ints(
                  sizes.tokens(),
                  p.projected(),
                  sizes.heads(),
                  sizes.hasChunks() ? sizes.classes() / sizes.heads() : sizes.classes(),
                  sizes.classes(),
                  sizes.rowsOfClass(),
                  Integer.numberOfTrailingZeros(sizes.rowStep()),
                  tiling.chunks(),
                  tiling.blockHeads(),
                  tiling.parts())
              .floats(EPSILON));
    }

    /** Rows of weights (rows, C) from an element on. */
    private Order rows(long offset, int rows, boolean split, boolean exchanged) {
      int channels = sizes.channels();
      return new Order(
          offset,
          rows,
          channels,
          channels,
          1,
          0,
          1,
          rows / COLUMNS,
          channels / (split ? INNER : STEP),
          split,
          exchanged);
    }

    /** The columns of each head of (C / 2, C). */
    private Order ofChannelWeights() {
      int channels = sizes.channels();
      int d = sizes.headChannels();
      return new Order(
          0,
          channels / 2,
          d,
          channels,
          1,
          d,
          sizes.heads(),
          channels / 2 / COLUMNS,
          sizes.inner() / INNER,
          true,
          true);
    }

    private long packedProjection(Projection projection) {
      int tokens = sizes.tokens();
      boolean tokenMajor = projection.tokenMajor();
      return packed(
          projection.weight(),
          new Order(
              0,
              p.projected(),
              tokens,
              tokenMajor ? 1 : tokens,
              tokenMajor ? p.projected() : 1,
              0,
              1,
              sizes.padded() / COLUMNS,
              Math.ceilDiv(tokens, STEP),
              false,
              false));
    }

    /** Device address of packed weights. */
    private long packed(Buffer weight, Order order) {
      return context
          .packs()
          .get(
              order,
              List.of(weight),
              order.lanes() * LANE_BYTES,
              address ->
                  context.launch(
                      FILE,
                      FILE + "_pack",
                      LaunchGeometry.threadEach(order.lanes(), THREADS),
                      context
                          .arguments(
                              weight.slice(order.offset(), weight.elements() - order.offset()))
                          .longs(address, order.lanes())
                          .ints(order.rows(), order.columns())
                          .longs(order.rowStride(), order.columnStride(), order.groupStride())
                          .ints(
                              order.tiles(),
                              order.steps(),
                              order.split() ? 1 : 0,
                              order.exchanged() ? 1 : 0)));
    }
  }
}
