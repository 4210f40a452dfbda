package org.unetrpp.backend.cuda;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.Pullback;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Launches {@code kernels/attention_forward.cu} and {@code kernels/attention_backward.cu}, whose
 * comments have the formulas.
 */
final class PairedAttentionKernels {
  private static final String FORWARD = "attention_forward";
  private static final String BACKWARD = "attention_backward";
  private static final float EPSILON = (float) ChannelNorm.EPSILON;

  /** Limits of the kernels. */
  private static final int MOST_CHANNELS = 512;

  private static final int MOST_PROJECTED = 128;

  private static final int WARP = 32;

  /** Rows of a tile that a warp works on together. */
  private static final int ROWS = 4;

  /** Warps of a block at most: over tokens, and over the rows of maps. */
  private static final int MOST_WARPS = 8;

  private static final int MAP_WARPS = 4;

  /** Of attention whose maps are so little work that one kernel makes them all. */
  private static final int MOST_MAPPED_CHANNELS = 64;

  /** Warps that hide one another's waiting. */
  private static final int WARPS_OF_MULTIPROCESSOR = 16;

  /** Tokens that the sums are taken over at once, and the part of them that a block makes. */
  private static final int SUM_TOKENS = 32;

  private static final int SUM_ROWS = 32;
  private static final int SUM_COLUMNS = 64;
  private static final int SUM_WARPS = 4;

  /** Shared memory that a block takes at most. */
  private static final int SHARED_BYTES = 48 * 1024;

  /** Floats that a row of a tile gives to attention maps at most, if there is a choice. */
  private static final int MAP_FLOATS = 1024;

  private final CudaContext context;

  PairedAttentionKernels(CudaContext context) {
    this.context = context;
  }

  /** Whether the kernels are made for attention of such sizes. */
  static boolean take(PairedAttentionParameters p) {
    return p.channels() <= MOST_CHANNELS && p.projected() <= MOST_PROJECTED;
  }

  /** As {@link org.unetrpp.backend.Boxes#pairedAttention}. */
  void forward(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
    try (var _ = context.scopes().open()) {
      new Run(x, p, Dropout.NONE, Dropout.NONE, batch).forward(y);
    }
  }

  /**
   * As {@link org.unetrpp.backend.TrainingBoxes#pairedAttention}. Keeps the maps, nothing of the
   * tokens.
   */
  Pullback<PairedAttentionParameters> training(
      Buffer x,
      PairedAttentionParameters p,
      Dropout channelMaps,
      Dropout spatialMaps,
      Buffer y,
      int batch) {
    Run run = new Run(x, p, channelMaps, spatialMaps, batch);
    run.forward(y);
    return (dy, gradients, dx) -> {
      try (var _ = context.scopes().open()) {
        new Gradient(run, gradients).apply(dy, dx);
      }
    };
  }

  /** Floats between the rows of a tile in shared memory, as {@code tile_stride} has it. */
  private static int stride(int columns) {
    return (columns + 3) / 4 * 4 + 4;
  }

  private int multiprocessors() {
    return context.driver().device().multiprocessors();
  }

  /**
   * Blocks of (32, warps) over rows, four for each warp: as many warps as fit, but no more than
   * leave a block for each multiprocessor.
   *
   * @param floats shared memory of a row
   * @param bytes further shared memory of a warp
   */
  private LaunchGeometry tiles(int rows, int floats, int bytes, int mostWarps, int y, int z) {
    int warpBytes = ROWS * floats * Float.BYTES + bytes;
    int warps = mostWarps;
    while (warps > 1
        && (warps * warpBytes > SHARED_BYTES
            || (warps > 2
                && (long) Math.ceilDiv(rows, ROWS * warps) * y * z < multiprocessors()))) {
      warps /= 2;
    }
    int blocks = Math.ceilDiv(rows, ROWS * warps);
    return new LaunchGeometry(blocks, y, z, WARP, warps, 1, warps * warpBytes);
  }

  /** The same tiles, several to a block: there are as many sums as blocks. */
  private LaunchGeometry fewer(LaunchGeometry tiles, int tilesOfBlock) {
    return tiles.grid(Math.ceilDiv(tiles.gridX(), tilesOfBlock), tiles.gridY(), tiles.gridZ());
  }

  /** Tiles that a block takes, so that there are warps enough for each multiprocessor. */
  private int tilesOfBlock(LaunchGeometry tiles) {
    int warps = tiles.blockY() * tiles.gridY() * tiles.gridZ();
    int blocks = Math.ceilDiv(WARPS_OF_MULTIPROCESSOR * multiprocessors(), warps);
    return Math.ceilDiv(tiles.gridX(), blocks);
  }

  private static float scale(Dropout dropout) {
    return new DropoutMask(dropout).scale();
  }

  /** Of each item, a matrix whose rows lie {@code stride} apart. */
  private void transpose(
      Buffer from, Buffer to, int rows, int columns, int stride, long item, int items) {
    context.launch(
        FORWARD,
        "attention_transpose_f32",
        new LaunchGeometry(
            Math.ceilDiv(columns, WARP), Math.ceilDiv(rows, WARP), items, WARP, MOST_WARPS, 1, 0),
        context.arguments(from, to).ints(rows, columns).longs(stride, item));
  }

  /** Sums {@code count} parts of each item, which lie one behind the other. */
  private void merge(Buffer parts, Buffer to, int count, long size, int items) {
    merge(parts, to, count, size, size, items, false);
  }

  private void merge(
      Buffer parts, Buffer to, int count, long stride, long size, int items, boolean adds) {
    context.launch(
        FORWARD,
        "attention_merge_f32",
        new LaunchGeometry(
            Math.toIntExact(Math.ceilDiv(size, WARP)), items, 1, WARP, MOST_WARPS, 1, 0),
        context.arguments(parts, to).ints(count).longs(stride, size).ints(adds ? 1 : 0));
  }

  /** One call, with the maps that its tokens go through. */
  private final class Run {
    private final Buffer x;
    private final PairedAttentionParameters p;
    private final Dropout channelDropout;
    private final Dropout spatialDropout;
    private final int batch;
    private final int channels;
    private final int heads;
    private final int d;
    private final int tokens;
    private final int projected;
    private final boolean twoProjections;

    /** Columns of the sums, (B, C, width). */
    private final int width;

    /** Rows of Mca. */
    private final int outputs;

    private final Buffer qkvvTransposed;
    private final Buffer sums;

    /** Wq G and Wk G, each (B, C, C). */
    private final Buffer queryGram;

    private final Buffer keyGram;

    /** Of queries and of keys, (B, 2, C). */
    private final Buffer norms;

    /** Kp, (B, C, P); the same with norms and temperature, and that as (B, P, C). */
    private final Buffer keys;

    private final Buffer scaledKeys;
    private final Buffer scaledKeysTransposed;

    /** Vp, (B, C, P), and as (B, P, C). */
    private final Buffer values;

    private final Buffer valuesTransposed;

    /** Products of query and key channels, and A, each (B, C, d). */
    private final Buffer products;

    private final Buffer channelMaps;

    /** Z, (B, C, C), and transposed. */
    private final Buffer branch;

    private final Buffer branchTransposed;

    /** Mca, (B, outputs, C), and transposed; Z where there are no output layers. */
    private final Buffer outputMaps;

    private final Buffer outputMapsTransposed;

    Run(
        Buffer x,
        PairedAttentionParameters p,
        Dropout channelDropout,
        Dropout spatialDropout,
        int batch) {
      this.x = x;
      this.p = p;
      this.channelDropout = channelDropout;
      this.spatialDropout = spatialDropout;
      this.batch = batch;
      channels = p.channels();
      heads = p.heads();
      d = p.headChannels();
      tokens = p.tokens();
      projected = p.projected();
      twoProjections = !p.keys().weight().equals(p.values().weight());
      width = channels + (twoProjections ? 2 : 1) * projected;
      outputs = p.fusion() == null ? channels : channels / 2;
      qkvvTransposed = transposed(p.qkvv(), 4 * channels, channels);
      sums = floats((long) channels * width);
      queryGram = floats((long) channels * channels);
      keyGram = floats((long) channels * channels);
      norms = floats(2L * channels);
      keys = floats((long) channels * projected);
      scaledKeys = floats((long) channels * projected);
      scaledKeysTransposed = floats((long) channels * projected);
      values = floats((long) channels * projected);
      valuesTransposed = floats((long) channels * projected);
      products = floats((long) channels * d);
      channelMaps = floats((long) channels * d);
      branch = floats((long) channels * channels);
      branchTransposed = floats((long) channels * channels);
      boolean isFused = p.fusion() != null;
      outputMaps = isFused ? floats((long) outputs * channels) : branch;
      outputMapsTransposed = isFused ? floats((long) outputs * channels) : branchTransposed;
    }

    /** Workspace of so many floats for each item. */
    private Buffer floats(long elements) {
      return context.floats(batch * elements);
    }

    void forward(Buffer y) {
      try (var _ = context.scopes().open()) {
        sumTokens();
        boolean mapped = hasWholeHeads();
        if (mapped) {
          makeMaps();
        } else {
          makeMapsOfRows();
        }
        Concatenation fusion = p.fusion();
        if (fusion != null && hasWholeRows()) {
          if (!mapped) {
            makeOutputMaps(fusion);
          }
          atOnce(fusion, y);
        } else {
          Buffer spatial = floats((long) tokens * channels);
          spatialBranch(spatial, mapped ? null : fusion);
          output(spatial, y);
        }
      }
    }

    /** A weight (rows, columns) as (columns, rows). */
    private Buffer transposed(Buffer weight, int rows, int columns) {
      long address =
          context
              .packs()
              .get(
                  "attention, transposed",
                  List.of(weight),
                  weight.bytes(),
                  destination ->
                      transpose(
                          weight,
                          new Buffer(destination, DType.FLOAT32, weight.elements()),
                          rows,
                          columns,
                          columns,
                          weight.elements(),
                          1));
      return new Buffer(address, DType.FLOAT32, weight.elements());
    }

    private void sumTokens() {
      int parts = Math.ceilDiv(channels, SUM_ROWS) * Math.ceilDiv(width, SUM_COLUMNS);
      int tiles = Math.ceilDiv(tokens, SUM_TOKENS);
      int runs = Math.min(tiles, Math.ceilDiv(4 * multiprocessors(), parts * batch));
      int run = Math.ceilDiv(tiles, runs) * SUM_TOKENS;
      runs = Math.ceilDiv(tokens, run);
      int group = Math.toIntExact(Math.round(Math.ceil(Math.sqrt(runs))));
      long tickets = (long) batch * parts * (Math.ceilDiv(runs, group) + 1);
      try (var _ = context.scopes().open()) {
        Buffer partials = runs == 1 ? null : floats((long) runs * channels * width);
        context.launch(
            FORWARD,
            CudaContext.entry("attention_sums", x),
            new LaunchGeometry(runs, parts, batch, WARP, SUM_WARPS, 1, 0),
            tokenArguments()
                .buffers(
                    p.keys().weight(), twoProjections ? p.values().weight() : null, partials, sums)
                .longs(context.tickets(tickets))
                .ints(tokens, channels, projected, p.keys().tokenMajor() ? 1 : 0, run, group)
                .floats(EPSILON));
      }
    }

    private KernelArguments tokenArguments() {
      return context.arguments(x, p.positions(), p.normGamma(), p.normBeta());
    }

    /** Whether the rows that a block makes maps of are those of whole heads, and few in all. */
    private boolean hasWholeHeads() {
      return channels <= MOST_MAPPED_CHANNELS && MAP_WARPS * ROWS % d == 0 && d % ROWS == 0;
    }

    /** What lies between the sums and the tokens. */
    private void makeMaps() {
      int rows = MAP_WARPS * ROWS;
      int floats = stride(channels) + stride(d);
      Concatenation fusion = p.fusion();
      context.launch(
          FORWARD,
          "attention_maps_f32",
          new LaunchGeometry(
              Math.ceilDiv(channels, rows),
              batch,
              1,
              WARP,
              MAP_WARPS,
              1,
              rows * floats * Float.BYTES),
          DropoutKernels.withMask(
                  context
                      .arguments(
                          p.qkvv(),
                          qkvvTransposed,
                          sums,
                          p.keys().bias(),
                          p.values().bias(),
                          p.temperature(),
                          p.temperature2(),
                          fusion == null ? null : fusion.channelWeight(),
                          queryGram,
                          keyGram,
                          norms,
                          keys,
                          scaledKeys,
                          scaledKeysTransposed,
                          values,
                          valuesTransposed,
                          products,
                          channelMaps,
                          branch,
                          branchTransposed,
                          outputMaps,
                          outputMapsTransposed)
                      .longs(context.tickets(batch)),
                  channelDropout)
              .ints(channels, heads, projected, width));
    }

    /** All but the output maps, by kernels of their own. */
    private void makeMapsOfRows() {
      context.launch(
          FORWARD,
          "attention_projections_f32",
          tiles(channels, stride(channels), 0, MAP_WARPS, batch, 1),
          context
              .arguments(
                  p.qkvv(),
                  sums,
                  p.keys().bias(),
                  p.values().bias(),
                  p.temperature2(),
                  queryGram,
                  keyGram,
                  norms,
                  keys,
                  scaledKeys,
                  scaledKeysTransposed,
                  values,
                  valuesTransposed)
              .ints(channels, heads, projected, width));
      context.launch(
          FORWARD,
          "attention_channel_maps_f32",
          tiles(d, stride(channels) + stride(d), 0, MAP_WARPS, heads, batch),
          DropoutKernels.withMask(
                  context.arguments(
                      p.qkvv(),
                      qkvvTransposed,
                      queryGram,
                      norms,
                      p.temperature(),
                      products,
                      channelMaps,
                      branch,
                      branchTransposed),
                  channelDropout)
              .ints(channels, heads));
    }

    /** Where nothing else does it. */
    private void makeOutputMaps(Concatenation fusion) {
      context.launch(
          FORWARD,
          "attention_output_maps_f32",
          tiles(outputs, stride(channels), 0, MAP_WARPS, batch, 1),
          context
              .arguments(fusion.channelWeight(), branch, outputMaps, outputMapsTransposed)
              .ints(channels));
    }

    /** Heads that a block works on, so that there is a block for each multiprocessor. */
    private int blockHeads() {
      int blocks = Math.ceilDiv(tokens, 2 * ROWS) * batch;
      return Math.ceilDiv(heads, Math.clamp(Math.ceilDiv(multiprocessors(), blocks), 1, heads));
    }

    /** Heads whose maps a block has at a time, so that a warp has a column for each lane. */
    private int groupHeads(int blockHeads) {
      int most = Math.min(Math.ceilDiv(WARP, d), Math.max(1, MAP_FLOATS / stride(projected)));
      return Math.min(blockHeads, most);
    }

    /** Bytes of the random numbers that a warp has at a time, as {@code random_values} has it. */
    private int randomBytes() {
      return (ROWS * projected + 16 + 7) / 8 * 8 * Short.BYTES;
    }

    private LaunchGeometry spatialTiles(int blockHeads) {
      int floats =
          stride(channels) + stride(blockHeads * d) + groupHeads(blockHeads) * stride(projected);
      return tiles(
          tokens, floats, randomBytes(), MOST_WARPS, Math.ceilDiv(heads, blockHeads), batch);
    }

    /** Whether a tile of S consists of whole rows once it is read as (N, C). */
    private boolean hasWholeRows() {
      return blockHeads() == heads
          && tokens % channels == 0
          && spatialTiles(heads).blockY() * ROWS % channels == 0;
    }

    private void atOnce(Concatenation fusion, Buffer y) {
      Buffer outTransposed = transposed(fusion.spatialWeight(), outputs, channels);
      context.launch(
          FORWARD,
          CudaContext.entry("attention_at_once", x),
          spatialTiles(heads),
          DropoutKernels.withMask(
                  tokenArguments()
                      .buffers(
                          qkvvTransposed,
                          scaledKeys,
                          valuesTransposed,
                          outTransposed,
                          fusion.spatialBias(),
                          outputMapsTransposed,
                          fusion.channelBias(),
                          p.gamma(),
                          y),
                  spatialDropout)
              .ints(tokens, channels, heads, projected, groupHeads(heads))
              .floats(EPSILON));
    }

    /**
     * S, and besides it the output maps.
     *
     * @param missing whose maps are made; none if they are there, or if there are none
     */
    private void spatialBranch(Buffer spatial, @Nullable Concatenation missing) {
      int blockHeads = blockHeads();
      LaunchGeometry tiles = spatialTiles(blockHeads);
      int rows = tiles.blockY() * ROWS * tiles.gridY();
      int more = missing == null ? 0 : Math.ceilDiv(outputs, rows);
      context.launch(
          FORWARD,
          CudaContext.entry("attention_spatial", x),
          tiles.grid(tiles.gridX() + more, tiles.gridY(), batch),
          DropoutKernels.withMask(
                  tokenArguments()
                      .buffers(
                          qkvvTransposed,
                          scaledKeys,
                          valuesTransposed,
                          spatial,
                          missing == null ? null : missing.channelWeight(),
                          branch,
                          outputMaps,
                          outputMapsTransposed),
                  spatialDropout)
              .ints(tokens, channels, heads, projected, blockHeads, groupHeads(blockHeads))
              .floats(EPSILON));
    }

    private void output(Buffer spatial, Buffer y) {
      Concatenation fusion = p.fusion();
      Buffer outTransposed =
          fusion == null ? null : transposed(fusion.spatialWeight(), outputs, channels);
      int parts = Math.ceilDiv(multiprocessors(), Math.ceilDiv(tokens, 2 * ROWS) * batch);
      int columns = Math.max(WARP, Math.ceilDiv(Math.ceilDiv(channels, parts), WARP) * WARP);
      context.launch(
          FORWARD,
          CudaContext.entry("attention_output", x),
          tiles(tokens, stride(channels), 0, MOST_WARPS, Math.ceilDiv(channels, columns), batch),
          tokenArguments()
              .buffers(
                  spatial,
                  outTransposed,
                  fusion == null ? null : fusion.spatialBias(),
                  outputMapsTransposed,
                  fusion == null ? null : fusion.channelBias(),
                  p.gamma(),
                  y)
              .ints(tokens, channels, columns)
              .floats(EPSILON));
    }
  }

  /** The gradient of one call. */
  private final class Gradient {
    private final Run run;
    private final PairedAttentionParameters p;
    private final PairedAttentionParameters gradients;
    private final int batch;
    private final int channels;
    private final int heads;
    private final int d;
    private final int tokens;
    private final int projected;

    /** Columns of the sums that are projections. */
    private final int projections;

    private final @Nullable Concatenation fusion;
    private final @Nullable Buffer outWeight;

    /** Sums over tokens of what reaches the output maps, (B, C + 2, C). */
    private final Buffer outputSums;

    /** Sums over tokens of what reaches Ks, Vp and Wq: (B, 2 C P + C C). */
    private final Buffer tokenSums;

    private final Buffer dqueries;
    private final Buffer dbranch;
    private final Buffer dproducts;

    /** Uq and Uk, (B, 2, C, C). */
    private final Buffer mixed;

    /** What each channel gives the temperatures, (B, C). */
    private final Buffer temperatureRows;

    private final Buffer temperature2Rows;
    private final Buffer dsums;

    /** (B, C, projections), and transposed. */
    private final Buffer dprojections;

    private final Buffer dprojectionsTransposed;

    Gradient(Run run, PairedAttentionParameters gradients) {
      this.run = run;
      this.gradients = gradients;
      p = run.p;
      batch = run.batch;
      channels = run.channels;
      heads = run.heads;
      d = run.d;
      tokens = run.tokens;
      projected = run.projected;
      projections = run.width - channels;
      fusion = p.fusion();
      outWeight = fusion == null ? null : fusion.spatialWeight();
      long square = (long) channels * channels;
      outputSums = run.floats(square + 2L * channels);
      tokenSums = run.floats(2L * channels * projected + square);
      dqueries = run.floats((long) tokens * channels);
      dbranch = run.floats(square);
      dproducts = run.floats((long) channels * d);
      mixed = run.floats(2 * square);
      temperatureRows = run.floats(channels);
      temperature2Rows = run.floats(channels);
      dsums = run.floats(square);
      dprojections = run.floats((long) channels * projections);
      dprojectionsTransposed = run.floats((long) channels * projections);
    }

    void apply(Buffer dy, @Nullable Buffer dx) {
      try (var _ = context.scopes().open()) {
        Buffer spatial = run.floats((long) tokens * channels);
        Buffer dspatial = run.floats((long) tokens * channels);
        run.spatialBranch(spatial, null);
        outputBackward(dy, spatial, dspatial);
        tokensBackward(dspatial);
      }
      channelMapsBackward();
      weightsBackward();
      sumsBackward();
      outputWeightsBackward();
      scalarsBackward();
      inputBackward(dy, dx);
    }

    private void outputBackward(Buffer dy, Buffer spatial, Buffer dspatial) {
      LaunchGeometry tiles = tiles(tokens, 3 * stride(channels), 0, MOST_WARPS, 1, batch);
      int tilesOfBlock = tilesOfBlock(tiles);
      LaunchGeometry geometry = fewer(tiles, tilesOfBlock);
      long size = outputSums.elements() / batch;
      try (var _ = context.scopes().open()) {
        Buffer partials = run.floats(geometry.gridX() * size);
        context.launch(
            BACKWARD,
            CudaContext.entry("attention_output_backward", dy),
            geometry,
            run.tokenArguments()
                .buffers(dy, p.gamma(), outWeight, spatial, dspatial, partials)
                .ints(tokens, channels, tilesOfBlock)
                .floats(EPSILON));
        merge(partials, outputSums, geometry.gridX(), size, batch);
      }
    }

    private void tokensBackward(Buffer dspatial) {
      int blockHeads = run.blockHeads();
      int groupHeads = run.groupHeads(blockHeads);
      int floats = stride(channels) + 3 * stride(blockHeads * d) + groupHeads * stride(projected);
      LaunchGeometry tiles =
          tiles(
              tokens,
              floats,
              run.randomBytes(),
              MOST_WARPS,
              Math.ceilDiv(heads, blockHeads),
              batch);
      int tilesOfBlock = tilesOfBlock(tiles);
      LaunchGeometry geometry = fewer(tiles, tilesOfBlock);
      long size = tokenSums.elements() / batch;
      try (var _ = context.scopes().open()) {
        Buffer partials = run.floats(geometry.gridX() * size);
        context.launch(
            BACKWARD,
            CudaContext.entry("attention_tokens_backward", run.x),
            geometry,
            DropoutKernels.withMask(
                    run.tokenArguments()
                        .buffers(
                            run.qkvvTransposed,
                            run.scaledKeys,
                            run.scaledKeysTransposed,
                            run.values,
                            dspatial,
                            dqueries,
                            partials),
                    run.spatialDropout)
                .ints(tokens, channels, heads, projected, blockHeads, groupHeads, tilesOfBlock)
                .floats(EPSILON));
        merge(partials, tokenSums, geometry.gridX(), size, batch);
      }
    }

    private void channelMapsBackward() {
      context.launch(
          BACKWARD,
          "attention_channel_maps_backward_f32",
          tiles(d, 2 * stride(channels) + stride(d), 0, MAP_WARPS, heads, batch),
          context
              .arguments(
                  outputSums,
                  p.gamma(),
                  fusion == null ? null : fusion.channelWeight(),
                  run.channelMaps,
                  run.products,
                  run.norms,
                  p.temperature(),
                  run.qkvvTransposed,
                  dbranch,
                  dproducts,
                  temperatureRows)
              .floats(scale(run.channelDropout))
              .ints(channels, heads));
    }

    private void weightsBackward() {
      try (var _ = context.scopes().open()) {
        Buffer transposed = run.floats((long) channels * projections);
        transpose(
            run.sums.slice(channels, run.sums.elements() - channels),
            transposed,
            channels,
            projections,
            run.width,
            (long) channels * run.width,
            batch);
        context.launch(
            BACKWARD,
            "attention_weights_backward_f32",
            tiles(d, 3 * stride(d) + 2 * stride(projected), 0, MAP_WARPS, heads, 1),
            context
                .arguments(
                    p.qkvv(),
                    run.queryGram,
                    run.keyGram,
                    run.norms,
                    run.keys,
                    run.products,
                    dproducts,
                    run.channelMaps,
                    dbranch,
                    tokenSums,
                    transposed,
                    p.temperature2(),
                    gradients.qkvv(),
                    mixed,
                    temperature2Rows)
                .floats(scale(run.channelDropout))
                .ints(batch, channels, heads, projected, run.width));
      }
    }

    private void sumsBackward() {
      context.launch(
          BACKWARD,
          "attention_sums_backward_f32",
          tiles(channels, stride(2 * channels), 0, MAP_WARPS, batch, 1),
          context
              .arguments(
                  run.qkvvTransposed,
                  mixed,
                  run.norms,
                  p.temperature2(),
                  tokenSums,
                  dsums,
                  dprojections,
                  dprojectionsTransposed)
              .ints(channels, heads, projected, run.width));
    }

    private void outputWeightsBackward() {
      Concatenation to = gradients.fusion();
      context.launch(
          BACKWARD,
          "attention_output_weights_backward_f32",
          tiles(run.outputs, stride(channels), 0, MAP_WARPS, 1, 1),
          context
              .arguments(
                  outputSums,
                  p.gamma(),
                  outWeight,
                  fusion == null ? null : fusion.spatialBias(),
                  fusion == null ? null : fusion.channelBias(),
                  run.outputMaps,
                  run.branchTransposed,
                  to == null ? null : to.spatialWeight(),
                  to == null ? null : to.spatialBias(),
                  to == null ? null : to.channelWeight(),
                  to == null ? null : to.channelBias(),
                  gradients.gamma())
              .ints(batch, channels));
    }

    private void scalarsBackward() {
      context.launch(
          BACKWARD,
          "attention_scalars_backward_f32",
          LaunchGeometry.threadEach(Math.max(heads, projected), WARP),
          context
              .arguments(
                  tokenSums,
                  run.norms,
                  p.temperature2(),
                  temperatureRows,
                  temperature2Rows,
                  gradients.temperature(),
                  gradients.temperature2(),
                  gradients.keys().bias(),
                  gradients.values().bias())
              .ints(batch, channels, heads, projected));
    }

    private void inputBackward(Buffer dy, @Nullable Buffer dx) {
      LaunchGeometry geometry =
          tiles(
              tokens,
              4 * stride(channels) + stride(projections) + stride(projected),
              2 * channels * Float.BYTES,
              MOST_WARPS,
              1,
              1);
      try (var _ = context.scopes().open()) {
        Buffer partials = context.floats(geometry.gridX() * 2L * channels);
        context.launch(
            BACKWARD,
            CudaContext.entry("attention_input_backward", dy),
            geometry,
            run.tokenArguments()
                .buffers(
                    dy,
                    p.gamma(),
                    p.qkvv(),
                    dqueries,
                    dsums,
                    run.outputMaps,
                    p.keys().weight(),
                    run.twoProjections ? p.values().weight() : null,
                    dprojections,
                    dprojectionsTransposed,
                    dx,
                    gradients.positions(),
                    gradients.keys().weight(),
                    gradients.values().weight(),
                    partials)
                .ints(
                    batch,
                    tokens,
                    channels,
                    projected,
                    p.keys().tokenMajor() ? 1 : 0,
                    fusion == null ? 0 : channels / 2)
                .floats(EPSILON));
        long parts = 2L * channels;
        merge(partials, gradients.normGamma(), geometry.gridX(), parts, channels, 1, true);
        merge(
            partials.slice(channels, partials.elements() - channels),
            gradients.normBeta(),
            geometry.gridX(),
            parts,
            channels,
            1,
            true);
      }
    }
  }
}
