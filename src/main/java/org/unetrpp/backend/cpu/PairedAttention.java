package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * Efficient paired attention in two passes over the tokens. With X (N, C) the normalized tokens,
 * every map between channels and every projection along tokens is a function of sums over tokens:
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
 */
final class PairedAttention {
  /** Below this many tokens for each channel, queries, keys and values are computed. */
  private static final int TOKENS_PER_CHANNEL = 16;

  private final CpuBackend backend;
  private final CpuContext context;

  PairedAttention(CpuBackend backend) {
    this.backend = backend;
    context = backend.context();
  }

  /** {@code t = x + positions; y = t + gamma EPA(LayerNorm(t))}. */
  void run(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
    try (var _ = backend.scopes().open()) {
      new Run(x, p, y, batch).run();
    }
  }

  private static int chunk(int tokens) {
    return Math.min(512, Math.max(32, Math.ceilDiv(tokens, 16)));
  }

  /** One call. */
  private final class Run {
    private final PairedAttentionParameters p;
    private final int batch;
    private final int channels;
    private final int heads;
    private final int d;
    private final int tokens;
    private final int projected;
    private final int chunk;
    private final int chunks;
    private final boolean direct;
    private final boolean twoProjections;

    /** Bytes of one item of the batch. */
    private final long itemBytes;

    private final Buffer x;
    private final Buffer y;

    /** X, (B, N, C). */
    private final Buffer normalized;

    /** Q, K and both values side by side, (B, N, 4 C); none where they are not computed. */
    private final @Nullable Buffer qkvv;

    /** S, (B, d, h, N). */
    private final Buffer spatial;

    /** Channels that logits are made from: all, or those of a head's query. */
    private final int logitInputs;

    /** M of every item, (B, C, h P); or, from queries, (B, C, P). */
    private final Buffer logitMaps;

    /** Vp of every item, (B, C, P). */
    private final Buffer values;

    /** gamma of the channel half and the channel branch as one map, (B, C / 2 or C, C). */
    private final Buffer channelMaps;

    /** gamma Wout, (C / 2, C); none if the branches are summed. */
    private final @Nullable Buffer spatialMap;

    /** Channels of y that the channel branch adds to. */
    private final int channelOutputs;

    Run(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
      this.x = x;
      this.p = p;
      this.y = y;
      this.batch = batch;
      channels = p.channels();
      heads = p.heads();
      d = p.headChannels();
      tokens = p.tokens();
      projected = p.projected();
      chunk = chunk(tokens);
      chunks = Math.ceilDiv(tokens, chunk);
      direct = tokens < TOKENS_PER_CHANNEL * channels;
      twoProjections = HeadMaps.hasTwoProjections(p);
      long item = (long) tokens * channels;
      itemBytes = item * Float.BYTES;
      normalized = allocate(batch * item);
      qkvv = direct ? allocate(4L * batch * item) : null;
      spatial = allocate(batch * item);
      logitInputs = direct ? d : channels;
      logitMaps = allocate((long) batch * heads * logitInputs * projected);
      values = allocate((long) batch * channels * projected);
      channelOutputs = p.fusion() == null ? channels : channels / 2;
      channelMaps = allocate((long) batch * channelOutputs * channels);
      spatialMap = p.fusion() == null ? null : allocate((long) channels / 2 * channels);
    }

    private Buffer allocate(long elements) {
      return backend.scopes().allocate(DType.FLOAT32, elements);
    }

    void run() {
      Sums sums = new Sums();
      gather(sums);
      double[][] totals = sums.totals();
      connect(totals);
      attend();
      combine();
    }

    private int count(int task) {
      return Math.min(chunk, tokens - task % chunks * chunk);
    }

    /** First token of a task, counted through the batch. */
    private long row(int task) {
      return (long) (task / chunks) * tokens + (long) task % chunks * chunk;
    }

    private long at(Buffer buffer, long element) {
      return buffer.address() + element * Float.BYTES;
    }

    /**
     * What is summed over the tokens, chunk by chunk: the products that give norms and channel
     * maps, then the projections along tokens.
     */
    private final class Sums {
      /** G; or, by heads, Q^T Q, K^T K and Q^T K, each (C, d). */
      private final int products = direct ? 3 * channels * d : channels * channels;

      private final int projection = projected * channels;
      private final int size = products + (direct || twoProjections ? 2 : 1) * projection;
      private final Buffer partial = allocate((long) batch * chunks * size);

      long address(int task) {
        return at(partial, (long) task * size);
      }

      /** Of each item, in double. */
      double[][] totals() {
        int step = 1024;
        int tasks = Math.ceilDiv(size, step);
        double[][] totals = new double[batch][size];
        Values parts = Values.of(partial);
        context
            .pool()
            .run(
                batch * tasks,
                (task, worker) -> {
                  int item = task / tasks;
                  int first = task % tasks * step;
                  int count = Math.min(step, size - first);
                  float[] line = worker.array(0, count);
                  for (int part = 0; part < chunks; part++) {
                    parts.read((long) (item * chunks + part) * size + first, line, count);
                    for (int i = 0; i < count; i++) {
                      totals[item][first + i] += line[i];
                    }
                  }
                });
        return totals;
      }
    }

    /** Pass 1. */
    private void gather(Sums sums) {
      Primitive full = context.primitives().layerNorm(chunk, channels, ChannelNorm.EPSILON);
      Primitive last =
          context.primitives().layerNorm(count(chunks - 1), channels, ChannelNorm.EPSILON);
      context
          .pool()
          .run(
              batch * chunks,
              (task, worker) -> {
                int count = count(task);
                long tokensAt = at(normalized, row(task) * channels);
                addPositions(task, worker, normalized, null);
                (count == chunk ? full : last)
                    .run(
                        worker,
                        tokensAt,
                        tokensAt,
                        p.normGamma().address(),
                        p.normBeta().address());
                if (qkvv == null) {
                  sumTokens(task, count, tokensAt, sums);
                } else {
                  sumQueries(task, count, tokensAt, at(qkvv, row(task) * 4 * channels), sums);
                }
              });
    }

    /** {@code x + positions}, plus a bias, of the tokens of a task. */
    private void addPositions(int task, Worker worker, Buffer to, float @Nullable [] bias) {
      Values input = Values.of(x);
      Values positions = Values.of(p.positions());
      Values output = Values.of(to);
      int tile = Loops.tile(channels);
      long begin = row(task) * channels;
      long position = (long) task % chunks * chunk * channels;
      int elements = count(task) * channels;
      for (int first = 0; first < elements; first += tile) {
        int count = Math.min(tile, elements - first);
        float[] sum = worker.array(0, count);
        float[] addend = worker.array(1, count);
        input.read(begin + first, sum, count);
        positions.read(position + first, addend, count);
        Loops.add(sum, addend, count);
        if (bias != null) {
          Loops.add(sum, bias, count);
        }
        output.write(begin + first, sum, count);
      }
    }

    private void sumTokens(int task, int count, long at, Sums sums) {
      long to = sums.address(task);
      Operand rows = Operand.plain(at, channels);
      gram(rows, rows, channels, channels, count, to, channels);
      long projections = to + (long) sums.products * Float.BYTES;
      project(p.keys(), task, count, rows, projections);
      if (twoProjections) {
        project(p.values(), task, count, rows, projections + (long) sums.projection * Float.BYTES);
      }
    }

    private void sumQueries(int task, int count, long at, long qkvvAt, Sums sums) {
      int width = 4 * channels;
      context
          .oneDnn()
          .sgemm(
              count,
              width,
              channels,
              Operand.plain(at, channels),
              Operand.transposed(p.qkvv().address(), channels),
              qkvvAt,
              width,
              false);
      long to = sums.address(task);
      long step = (long) channels * d * Float.BYTES;
      for (int head = 0; head < heads; head++) {
        Operand query = slice(qkvvAt, 0, head);
        Operand key = slice(qkvvAt, 1, head);
        long rows = to + (long) head * d * d * Float.BYTES;
        gram(query, query, d, d, count, rows, d);
        gram(key, key, d, d, count, rows + step, d);
        gram(query, key, d, d, count, rows + 2 * step, d);
      }
      long projections = to + (long) sums.products * Float.BYTES;
      project(p.keys(), task, count, slice(qkvvAt, 1, 0), projections);
      project(
          p.values(),
          task,
          count,
          slice(qkvvAt, 3, 0),
          projections + (long) sums.projection * Float.BYTES);
    }

    /** Columns of one head in one of Q, K and the two values. */
    private Operand slice(long qkvvAt, int which, int head) {
      return Operand.plain(
          qkvvAt + ((long) which * channels + (long) head * d) * Float.BYTES, 4L * channels);
    }

    /** {@code a^T b}. */
    private void gram(
        Operand a, Operand b, int rows, int columns, int count, long to, long stride) {
      context
          .oneDnn()
          .sgemm(
              rows,
              columns,
              count,
              Operand.transposed(a.address(), a.rowStride()),
              b,
              to,
              stride,
              false);
    }

    /** The chunk's part of a projection along tokens, (P, C). */
    private void project(Projection projection, int task, int count, Operand rows, long to) {
      long first = (long) task % chunks * chunk;
      Operand weight =
          projection.tokenMajor()
              ? Operand.transposed(at(projection.weight(), first * projected), projected)
              : Operand.plain(at(projection.weight(), first), tokens);
      context.oneDnn().sgemm(projected, channels, count, weight, rows, to, channels, false);
    }

    /** What lies between the passes: one task for each head of each item. */
    private void connect(double[][] totals) {
      Doubles[] branches = new Doubles[batch * heads];
      context
          .pool()
          .run(
              branches.length,
              (task, _) -> {
                HeadMaps maps =
                    new HeadMaps.Maker(p, totals[task / heads], task % heads).make(direct);
                store(task / heads, task % heads, maps);
                branches[task] = maps.channelBranch();
              });
      mapChannels(branches);
    }

    private void store(int item, int head, HeadMaps maps) {
      Values logits = Values.of(logitMaps);
      long perItem = (long) heads * logitInputs * projected;
      if (direct) {
        maps.logits().store(logits, item * perItem + (long) head * d * projected, projected);
      } else {
        maps.logits()
            .store(logits, item * perItem + (long) head * projected, (long) heads * projected);
      }
      maps.projectedValues()
          .store(
              Values.of(values), ((long) item * channels + (long) head * d) * projected, projected);
    }

    /** The channel branch with what follows it, and the spatial branch's output layer. */
    private void mapChannels(Doubles[] branches) {
      double[] gamma = Values.of(p.gamma()).toDoubles();
      Concatenation fusion = p.fusion();
      Values maps = Values.of(channelMaps);
      if (fusion != null && spatialMap != null) {
        Doubles weight = Doubles.of(Values.of(fusion.spatialWeight()), 0, channels / 2, channels);
        scaleRows(weight, gamma, 0, channels / 2);
        weight.store(Values.of(spatialMap), 0, channels);
      }
      context
          .pool()
          .run(
              batch,
              (item, _) -> {
                Doubles map = new Doubles(channelOutputs, channels);
                for (int head = 0; head < heads; head++) {
                  map.add(
                      fusion == null ? head * d : 0,
                      direct ? head * d : 0,
                      branches[item * heads + head]);
                }
                scaleRows(map, gamma, channels - channelOutputs, channelOutputs);
                map.store(maps, (long) item * channelOutputs * channels, channels);
              });
    }

    private static void scaleRows(Doubles map, double[] factors, int first, int count) {
      for (int row = 0; row < count; row++) {
        map.scaleRow(row, factors[first + row]);
      }
    }

    /** Pass 2, up to S. */
    private void attend() {
      int last = count(chunks - 1);
      Primitive softmax = context.primitives().softmax(chunk * heads, projected);
      Primitive lastSoftmax = context.primitives().softmax(last * heads, projected);
      context
          .pool()
          .run(
              batch * chunks,
              (task, worker) -> {
                int count = count(task);
                long maps = worker.scratch((long) count * heads * projected);
                logits(task, count, maps);
                (count == chunk ? softmax : lastSoftmax).run(worker, maps, maps);
                spatialBranch(task, count, maps);
              });
    }

    /** (T, h, P). */
    private void logits(int task, int count, long to) {
      int item = task / chunks;
      int width = heads * projected;
      long maps = at(logitMaps, (long) item * heads * logitInputs * projected);
      if (qkvv == null) {
        context
            .oneDnn()
            .sgemm(
                count,
                width,
                channels,
                Operand.plain(at(normalized, row(task) * channels), channels),
                Operand.plain(maps, width),
                to,
                width,
                false);
        return;
      }
      for (int head = 0; head < heads; head++) {
        context
            .oneDnn()
            .sgemm(
                count,
                projected,
                d,
                slice(at(qkvv, row(task) * 4 * channels), 0, head),
                Operand.plain(maps + (long) head * d * projected * Float.BYTES, projected),
                to + (long) head * projected * Float.BYTES,
                width,
                false);
      }
    }

    /** S of the chunk's tokens, transposed, to where the published code has it. */
    private void spatialBranch(int task, int count, long maps) {
      int item = task / chunks;
      long first = (long) task % chunks * chunk;
      for (int head = 0; head < heads; head++) {
        long to =
            spatial.address() + item * itemBytes + ((long) head * tokens + first) * Float.BYTES;
        context
            .oneDnn()
            .sgemm(
                d,
                count,
                projected,
                Operand.plain(
                    at(values, ((long) item * channels + (long) head * d) * projected), projected),
                Operand.transposed(
                    maps + (long) head * projected * Float.BYTES, (long) heads * projected),
                to,
                (long) heads * tokens,
                false);
      }
    }

    /** The rest of pass 2: output layers and the residual. */
    private void combine() {
      float[] bias = bias();
      float[] gamma = Loops.repeated(Values.of(p.gamma()).toArray(), Loops.tile(channels));
      context
          .pool()
          .run(
              batch * chunks,
              (task, worker) -> {
                int count = count(task);
                addPositions(task, worker, y, bias);
                long to = at(y, row(task) * channels);
                if (spatialMap == null) {
                  addSpatial(task, count, gamma, worker);
                } else {
                  context
                      .oneDnn()
                      .sgemm(
                          count,
                          channels / 2,
                          channels,
                          Operand.plain(at(spatial, row(task) * channels), channels),
                          Operand.transposed(spatialMap.address(), channels),
                          to,
                          channels,
                          true);
                }
                addChannelBranch(task, count, to);
              });
    }

    /** The biases of both output layers times gamma, by the tile; none if there are no layers. */
    private float @Nullable [] bias() {
      Concatenation fusion = p.fusion();
      if (fusion == null) {
        return null;
      }
      float[] bias = Values.of(p.gamma()).toArray();
      float[] spatialBias = Values.of(fusion.spatialBias()).toArray();
      float[] channelBias = Values.of(fusion.channelBias()).toArray();
      int half = channels / 2;
      for (int c = 0; c < half; c++) {
        bias[c] *= spatialBias[c];
        bias[half + c] *= channelBias[c];
      }
      return Loops.repeated(bias, Loops.tile(channels));
    }

    /** {@code y += gamma S}. */
    private void addSpatial(int task, int count, float[] gamma, Worker worker) {
      Values branch = Values.of(spatial);
      Values output = Values.of(y);
      int tile = Loops.tile(channels);
      long begin = row(task) * channels;
      for (int first = 0; first < count * channels; first += tile) {
        int length = Math.min(tile, count * channels - first);
        float[] sum = worker.array(0, length);
        float[] addend = worker.array(1, length);
        output.read(begin + first, sum, length);
        branch.read(begin + first, addend, length);
        Loops.addScaled(sum, gamma, addend, length);
        output.write(begin + first, sum, length);
      }
    }

    private void addChannelBranch(int task, int count, long to) {
      Operand rows =
          qkvv == null
              ? Operand.plain(at(normalized, row(task) * channels), channels)
              : slice(at(qkvv, row(task) * 4 * channels), 2, 0);
      long map = at(channelMaps, (long) (task / chunks) * channelOutputs * channels);
      context
          .oneDnn()
          .sgemm(
              count,
              channelOutputs,
              channels,
              rows,
              Operand.transposed(map, channels),
              to + (long) (channels - channelOutputs) * Float.BYTES,
              channels,
              true);
    }
  }
}
