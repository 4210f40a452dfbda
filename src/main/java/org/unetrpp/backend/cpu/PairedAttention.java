package org.unetrpp.backend.cpu;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.HostMemory;

/**
 * Efficient paired attention in two passes over the tokens, planned once for its parameters. With X
 * (N, C) the normalized tokens, every map between channels and every projection along tokens is a
 * function of sums over tokens:
 *
 * <pre>
 *   pass 1     G = X^T X                           (C, C)
 *              Y = E X                             (P, C), and F X where F is another projection
 *   between    |q_c|^2 = Wq_c G Wq_c^T, |k_c|^2 alike
 *              A_s = softmax(t_s Wq_s G Wk_s^T / (|q| |k|))       for each head s
 *              Kp = Wk Y^T + b, Vp = Wv (F X)^T + b               (C, P)
 *              M_s = Wq_s^T (t2_s Kp_s / |q|)                     (C, P)
 *              Mca = gamma Wout2 blockdiag(A) Wc                  (C / 2, C)
 *   pass 2     S_s = softmax(X M_s) Vp_s^T
 *              y = x + positions + [gamma (reread(S) Wout^T + b) | X Mca^T + gamma b2]
 * </pre>
 *
 * so that no query, key or value of N rows exists. With few tokens the products between cost more
 * than the projections that they save; then Q, K and both values are computed, and the same passes
 * run on them. Sums over tokens are sums, in double, of those of chunks.
 *
 * <p>S_s lies as (d, h, N) and is read as (N, C), as the published code does.
 *
 * <p>A call makes no objects: what does not depend on the tokens is made with the plan, and what
 * does lies in arrays of the plan or in temporary memory of the call.
 */
final class PairedAttention {
  /** Below this many tokens for each channel, queries, keys and values are computed. */
  private static final int TOKENS_PER_CHANNEL = 16;

  /** Tokens whose attention maps stay in the second-level cache from one product to the next. */
  private static final int MAPPED_TOGETHER = 256;

  private static final int SUMS_OF_TASK = 1024;

  private final CpuContext context;
  private final OneDnn oneDnn;
  private final PairedAttentionParameters p;
  private final int batch;
  private final int channels;
  private final int heads;
  private final int d;
  private final int tokens;
  private final int projected;
  private final boolean direct;
  private final boolean twoProjections;

  /** Tokens of one task of the first pass, and such tasks of one item. */
  private final int chunk;

  private final int chunks;

  /** The same for the attention maps. */
  private final int block;

  private final int blocks;

  /** Channels that logits are made from: all, or those of a head's query. */
  private final int logitInputs;

  /** Channels of y that the channel branch adds to. */
  private final int channelOutputs;

  /** The biases of both output layers times gamma, by the tile; none if there are no layers. */
  private final float @Nullable [] bias;

  /** Gamma by the tile. */
  private final float[] gamma;

  /** Addresses of gamma times the output layers, (C / 2, C); 0 if the branches are summed. */
  private final long spatialMap;

  private final long channelMap;

  private final HeadMaps maps;
  private final Primitive normalize;
  private final Primitive normalizeLast;
  private final Primitive softmax;
  private final Primitive softmaxLast;

  /** Values that are summed over the tokens of an item; first the products, then Y. */
  private final int sums;

  private final int products;
  private final double[] totals; // of the products of every item

  /** Where the maps of each head of each item go. */
  private final HeadMaps.Places[] places;

  private final ThreadPool.Task gathering = this::gather;
  private final ThreadPool.Task adding = this::add;
  private final ThreadPool.Task connecting = this::connect;
  private final ThreadPool.Task mapping = this::mapChannels;
  private final ThreadPool.Task attending = this::attend;
  private final ThreadPool.Task combining = this::combine;

  /** Bytes of the temporary memory. */
  private final long temporaryBytes;

  // Addresses of the present call.

  private long x;
  private long y;

  /** X, (B, N, C). */
  private long normalized;

  /** Q, K and both values side by side, (B, N, 4 C), where they are computed. */
  private long qkvv;

  /** S, (B, d, h, N). */
  private long spatial;

  /** What each task of the first pass has summed. */
  private long partial;

  /** M of every item, (B, C, h P); or, from queries, (B, C, P). */
  private long logitMaps;

  /** Sums along the tokens, (B, 1 or 2, P, C). */
  private long projections;

  /** Vp of every item, (B, C, P). */
  private long values;

  /** The channel branch before its output layer, (B, C, C), where that is a step of its own. */
  private long branches;

  /** gamma of the channel half and the channel branch as one map, (B, C / 2 or C, C). */
  private long channelMaps;

  /** Plans for a batch. */
  private PairedAttention(CpuContext context, PairedAttentionParameters p, int batch) {
    this.context = context;
    this.p = p;
    this.batch = batch;
    oneDnn = context.oneDnn();
    channels = p.channels();
    heads = p.heads();
    d = p.headChannels();
    tokens = p.tokens();
    projected = p.projected();
    direct = tokens < TOKENS_PER_CHANNEL * channels;
    twoProjections = p.hasTwoProjections();
    chunk = Math.min(512, Math.max(32, Math.ceilDiv(tokens, 16)));
    chunks = Math.ceilDiv(tokens, chunk);
    block = Math.min(chunk, MAPPED_TOGETHER);
    blocks = Math.ceilDiv(tokens, block);
    logitInputs = direct ? d : channels;
    channelOutputs = p.fusion() == null ? channels : channels / 2;
    products = direct ? 2 * channels + channels * d : channels * channels;
    sums = products + (direct || twoProjections ? 2 : 1) * projected * channels;
    totals = new double[batch * products];
    maps = new HeadMaps(oneDnn, p, direct);
    places = new HeadMaps.Places[batch * heads];
    Arrays.setAll(places, _ -> new HeadMaps.Places());
    gamma = Loops.repeated(Values.of(p.gamma()).toArray(), Loops.tile(channels));
    bias = bias(p);
    Concatenation fusion = p.fusion();
    spatialMap = fusion == null ? 0 : scaled(fusion.spatialWeight(), 0);
    channelMap = fusion == null ? 0 : scaled(fusion.channelWeight(), channels / 2);
    Primitives primitives = context.primitives();
    double epsilon = ChannelNorm.EPSILON;
    normalize = primitives.layerNorm(Math.min(chunk, tokens), channels, epsilon);
    normalizeLast = primitives.layerNorm(CpuContext.lastBlock(tokens, chunk), channels, epsilon);
    softmax = primitives.softmax(Math.min(block, tokens) * heads, projected);
    softmaxLast = primitives.softmax(CpuContext.lastBlock(tokens, block) * heads, projected);
    temporaryBytes = place(0);
  }

  /** The plan for these parameters, made when it is not there. */
  static PairedAttention of(CpuContext context, PairedAttentionParameters p, int batch) {
    if (context.packs().kept(p) instanceof PairedAttention plan && plan.batch == batch) {
      return plan;
    }
    PairedAttention plan = new PairedAttention(context, p, batch);
    context.packs().keep(p, buffers(p), plan);
    return plan;
  }

  private static List<Buffer> buffers(PairedAttentionParameters p) {
    List<Buffer> buffers =
        new ArrayList<>(
            List.of(p.gamma(), p.temperature(), p.temperature2(), p.qkvv(), p.positions()));
    buffers.addAll(List.of(p.normGamma(), p.normBeta(), p.keys().weight(), p.values().weight()));
    for (Projection projection : List.of(p.keys(), p.values())) {
      if (projection.bias() != null) {
        buffers.add(projection.bias());
      }
    }
    Concatenation fusion = p.fusion();
    if (fusion != null) {
      buffers.addAll(List.of(fusion.spatialWeight(), fusion.spatialBias()));
      buffers.addAll(List.of(fusion.channelWeight(), fusion.channelBias()));
    }
    return buffers;
  }

  private float @Nullable [] bias(PairedAttentionParameters of) {
    Concatenation fusion = of.fusion();
    if (fusion == null) {
      return null;
    }
    float[] sum = Values.of(of.gamma()).toArray();
    float[] spatialBias = Values.of(fusion.spatialBias()).toArray();
    float[] channelBias = Values.of(fusion.channelBias()).toArray();
    int half = channels / 2;
    for (int c = 0; c < half; c++) {
      sum[c] *= spatialBias[c];
      sum[half + c] *= channelBias[c];
    }
    return Loops.repeated(sum, Loops.tile(channels));
  }

  /** An output layer, times the gamma of the channels from {@code first} on. */
  private long scaled(Buffer weight, int first) {
    return context
        .packs()
        .get(
            "output layer times gamma, from channel " + first,
            List.of(weight, p.gamma()),
            weight.bytes(),
            to -> {
              float[] scaled = Values.of(weight).toArray();
              for (int i = 0; i < scaled.length; i++) {
                scaled[i] *= gamma[first + i / channels];
              }
              HostMemory.write(scaled, 0, to, scaled.length);
            });
  }

  /** Gives everything temporary its place from an address on; returns the end. */
  private long place(long begin) {
    long item = (long) tokens * channels;
    normalized = begin;
    qkvv = after(normalized, batch * item);
    spatial = after(qkvv, direct ? 4L * batch * item : 0);
    partial = after(spatial, batch * item);
    logitMaps = after(partial, (long) batch * chunks * sums);
    projections = after(logitMaps, (long) batch * heads * logitInputs * projected);
    values = after(projections, (long) batch * (sums - products));
    branches = after(values, (long) batch * channels * projected);
    channelMaps = after(branches, mapsApart() ? (long) batch * channels * channels : 0);
    return after(channelMaps, (long) batch * channelOutputs * channels);
  }

  /** Whether the channel branch is joined of all heads before its output layer. */
  private boolean mapsApart() {
    return !direct && channelMap != 0;
  }

  /** The first multiple of a cache line behind {@code elements} values. */
  private static long after(long address, long elements) {
    return Math.ceilDiv(address + elements * Float.BYTES, 64) * 64;
  }

  /** Floats of the memory that a call needs besides what it reads and writes. */
  long temporaryElements() {
    return Math.ceilDiv(temporaryBytes, Float.BYTES);
  }

  /**
   * {@code t = x + positions; y = t + gamma EPA(LayerNorm(t))}.
   *
   * @param temporary {@link #temporaryElements} of any content
   */
  void run(Buffer from, Buffer temporary, Buffer to) {
    x = from.address();
    y = to.address();
    place(temporary.address());
    ThreadPool pool = context.pool();
    pool.run(batch * chunks, gathering);
    pool.run(batch * Math.ceilDiv(sums, SUMS_OF_TASK), adding);
    pool.run(batch * heads, connecting);
    if (mapsApart()) {
      pool.run(batch, mapping);
    }
    pool.run(batch * blocks, attending);
    pool.run(batch * chunks, combining);
  }

  private static long at(long address, long element) {
    return address + element * Float.BYTES;
  }

  /** First token of a task of the first pass, counted through the batch. */
  private long row(int task) {
    return (long) (task / chunks) * tokens + (long) task % chunks * chunk;
  }

  private int count(int task) {
    return Math.min(chunk, tokens - task % chunks * chunk);
  }

  /** Pass 1: what is summed over the tokens. */
  private void gather(int task, Worker worker) {
    int count = count(task);
    long token = (long) task % chunks * chunk;
    long rows = at(normalized, row(task) * channels);
    addPositions(task, token, count, worker);
    (count == chunk ? normalize : normalizeLast)
        .run(worker, rows, rows, p.normGamma().address(), p.normBeta().address());
    long to = at(partial, (long) task * sums);
    long keyProjections = at(to, products);
    long valueProjections = at(keyProjections, (long) projected * channels);
    if (!direct) {
      oneDnn.productOfColumns(
          channels, channels, count, rows, channels, rows, channels, to, channels);
      project(p.keys(), token, count, rows, channels, keyProjections);
      if (twoProjections) {
        project(p.values(), token, count, rows, channels, valueProjections);
      }
      return;
    }
    int width = 4 * channels;
    long projections = at(qkvv, row(task) * width);
    oneDnn.productOfRows(
        count,
        width,
        channels,
        rows,
        channels,
        p.qkvv().address(),
        channels,
        projections,
        width,
        false);
    sumSquares(projections, count, to, worker);
    long productsTo = at(to, 2L * channels);
    for (int head = 0; head < heads; head++) {
      oneDnn.productOfColumns(
          d,
          d,
          count,
          slice(projections, 0, head),
          width,
          slice(projections, 1, head),
          width,
          at(productsTo, (long) head * d * d),
          d);
    }
    project(p.keys(), token, count, slice(projections, 1, 0), width, keyProjections);
    project(p.values(), token, count, slice(projections, 3, 0), width, valueProjections);
  }

  /** {@code t = x + positions} to where X comes to lie, and with the bias to y. */
  private void addPositions(int task, long token, int count, Worker worker) {
    int tile = Loops.tile(channels);
    long begin = row(task) * channels;
    int elements = count * channels;
    for (int first = 0; first < elements; first += tile) {
      int length = Math.min(tile, elements - first);
      float[] sum = worker.array(0, length);
      float[] addend = worker.array(1, length);
      HostMemory.read(at(x, begin + first), sum, length);
      HostMemory.read(at(p.positions().address(), token * channels + first), addend, length);
      Loops.add(sum, addend, length);
      HostMemory.write(sum, 0, at(normalized, begin + first), length);
      if (bias != null) {
        Loops.add(sum, bias, length);
      }
      HostMemory.write(sum, 0, at(y, begin + first), length);
    }
  }

  /** A head's part of one of the four projections of the tokens. */
  private long slice(long projections, int which, int head) {
    return at(projections, (long) which * channels + (long) head * d);
  }

  /** The chunk's part of a projection along tokens, (P, C). */
  private void project(
      Projection projection, long token, int count, long rows, long rowStride, long to) {
    long weight = projection.weight().address();
    if (projection.tokenMajor()) {
      oneDnn.productOfColumns(
          projected,
          channels,
          count,
          at(weight, token * projected),
          projected,
          rows,
          rowStride,
          to,
          channels);
    } else {
      oneDnn.plainProduct(
          projected,
          channels,
          count,
          at(weight, token),
          tokens,
          rows,
          rowStride,
          to,
          channels,
          false);
    }
  }

  /** The sums of the squares of queries and keys. */
  private void sumSquares(long projections, int count, long to, Worker worker) {
    int length = 2 * channels;
    float[] line = worker.array(0, length);
    float[] squares = worker.array(1, length);
    Arrays.fill(squares, 0, length, 0);
    for (int row = 0; row < count; row++) {
      HostMemory.read(at(projections, (long) row * 4 * channels), line, length);
      Loops.addSquares(line, squares, length);
    }
    HostMemory.write(squares, 0, to, length);
  }

  /** Adds up what the chunks have summed, in double. */
  private void add(int task, Worker worker) {
    int tasks = Math.ceilDiv(sums, SUMS_OF_TASK);
    int item = task / tasks;
    int first = task % tasks * SUMS_OF_TASK;
    int count = Math.min(SUMS_OF_TASK, sums - first);
    float[] line = worker.array(0, count);
    double[] total = worker.doubles(count);
    Arrays.fill(total, 0, count, 0);
    for (int part = 0; part < chunks; part++) {
      HostMemory.read(at(partial, (long) (item * chunks + part) * sums + first), line, count);
      Loops.add(total, line, count);
    }
    int kept = Math.clamp(products - first, 0, count);
    System.arraycopy(total, 0, totals, item * products + Math.min(first, products), kept);
    if (kept < count) {
      Loops.round(total, line, count);
      long to = (long) item * (sums - products) + first + kept - products;
      HostMemory.write(line, kept, at(projections, to), count - kept);
    }
  }

  /** What lies between the passes, of one head of one item. */
  private void connect(int task, Worker worker) {
    int item = task / heads;
    int head = task % heads;
    HeadMaps.Places to = places[task];
    to.keySums = at(projections, (long) item * (sums - products));
    to.valueSums =
        direct || twoProjections ? at(to.keySums, (long) projected * channels) : to.keySums;
    long ofItem = (long) item * heads * logitInputs * projected;
    to.logits = at(logitMaps, ofItem + (long) head * (direct ? (long) d * projected : projected));
    to.logitStride = direct ? projected : (long) heads * projected;
    to.values = at(values, ((long) item * channels + (long) head * d) * projected);
    to.outputLayer = channelMap;
    to.branch =
        mapsApart()
            ? at(branches, (long) item * channels * channels)
            : at(channelMaps, (long) item * channelOutputs * channels);
    maps.connect(head, totals, item * products, to, worker);
  }

  /** The channel branch of an item with its output layer. */
  private void mapChannels(int item, Worker worker) {
    oneDnn.plainProduct(
        channelOutputs,
        channels,
        channels,
        channelMap,
        channels,
        at(branches, (long) item * channels * channels),
        channels,
        at(channelMaps, (long) item * channelOutputs * channels),
        channels,
        false);
  }

  /** Pass 2, of the tokens of a block: S, and the channel branch. */
  private void attend(int task, Worker worker) {
    int item = task / blocks;
    int first = task % blocks * block;
    int count = Math.min(block, tokens - first);
    long row = (long) item * tokens + first;
    int width = heads * projected;
    long attention = worker.scratch((long) count * width);
    logits(item, row, count, attention);
    (count == block ? softmax : softmaxLast).run(worker, attention, attention);
    for (int head = 0; head < heads; head++) { // transposed, to where the published code has it
      oneDnn.productOfRows(
          d,
          count,
          projected,
          at(values, ((long) item * channels + (long) head * d) * projected),
          projected,
          at(attention, (long) head * projected),
          width,
          at(spatial, ((long) item * channels + head) * tokens + first),
          (long) heads * tokens,
          false);
    }
    oneDnn.productOfRows(
        count,
        channelOutputs,
        channels,
        direct ? slice(at(qkvv, row * 4 * channels), 2, 0) : at(normalized, row * channels),
        direct ? 4L * channels : channels,
        at(channelMaps, (long) item * channelOutputs * channels),
        channels,
        at(y, row * channels + channels - channelOutputs),
        channels,
        true);
  }

  /** (T, h, P). */
  private void logits(int item, long row, int count, long to) {
    int width = heads * projected;
    long ofItem = at(logitMaps, (long) item * heads * logitInputs * projected);
    if (!direct) {
      oneDnn.plainProduct(
          count,
          width,
          channels,
          at(normalized, row * channels),
          channels,
          ofItem,
          width,
          to,
          width,
          false);
      return;
    }
    for (int head = 0; head < heads; head++) {
      oneDnn.plainProduct(
          count,
          projected,
          d,
          slice(at(qkvv, row * 4 * channels), 0, head),
          4L * channels,
          at(ofItem, (long) head * d * projected),
          projected,
          at(to, (long) head * projected),
          width,
          false);
    }
  }

  /** The rest of pass 2, when S is complete: {@code y += gamma reread(S) Wout^T}, or gamma S. */
  private void combine(int task, Worker worker) {
    int count = count(task);
    long row = row(task) * channels;
    if (spatialMap != 0) {
      oneDnn.productOfRows(
          count,
          channels / 2,
          channels,
          at(spatial, row),
          channels,
          spatialMap,
          channels,
          at(y, row),
          channels,
          true);
      return;
    }
    int tile = Loops.tile(channels);
    for (int first = 0; first < count * channels; first += tile) {
      int length = Math.min(tile, count * channels - first);
      float[] sum = worker.array(0, length);
      float[] addend = worker.array(1, length);
      HostMemory.read(at(y, row + first), sum, length);
      HostMemory.read(at(spatial, row + first), addend, length);
      Loops.addScaled(sum, gamma, addend, length);
      HostMemory.write(sum, 0, at(y, row + first), length);
    }
  }
}
