package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.memory.Buffer;

/**
 * The gradient of {@link AttentionTraining} in three passes over chunks of tokens. With X, S, A, Kp
 * and Vp as there, D the maps after dropout, and M the channel branch with gamma and its layer:
 *
 * <pre>
 *   pass 1     dS = gamma dy Wout                          reread as (d, h, N)
 *              dy^T S and dy^T X, column sums of dy        layers, biases and gamma follow
 *   pass 2     for each head: D again, dVp = dS^T D, dD = dS Vp^T, then through dropout and softmax
 *              dK = Q^T dL, dQ = dL K^T                    K = t2 Kp / |q|
 *              dX = dQ Wq + dy M, dWq = dQ^T X
 *   between    {@link AttentionMaps.Gradient}: other weights, temperatures, dG and dY
 *   pass 3     dX += X dG + E^T dY, dE = dY X^T            and the same of F
 *              dx = dy + layer normalization's gradient    positions: its sum over the items
 * </pre>
 */
final class AttentionGradient {
  private final AttentionCall call;
  private final BackwardPrimitives primitives;
  private final PairedAttentionParameters p;
  private final AttentionMaps[] maps;
  private final Buffer spatial;
  private final Buffer dy;
  private final int channels;
  private final int projected;
  private final int outputs;
  private final double[] gamma;
  private final AttentionSums totals;

  /** X, (B, N, C). */
  private final Buffer normalized;

  /** Gradient of S, (B, d, h, N). */
  private final Buffer dspatial;

  /** Gradient of X, (B, N, C). */
  private final Buffer dnormalized;

  /**
   * For one call.
   *
   * @param maps of each item
   * @param spatial S, (B, d, h, N)
   * @param dy gradient of the output, (B, N, C)
   */
  AttentionGradient(
      AttentionCall call,
      BackwardPrimitives primitives,
      AttentionMaps[] maps,
      Buffer spatial,
      Buffer dy) {
    this.call = call;
    this.primitives = primitives;
    this.maps = maps;
    this.spatial = spatial;
    this.dy = dy;
    p = call.p;
    channels = call.channels;
    projected = call.projected;
    outputs = call.branchOutputs;
    gamma = Values.of(p.gamma()).toDoubles();
    totals = new AttentionSums(p);
    normalized = call.allocateTokens();
    dspatial = call.allocateTokens();
    dnormalized = call.allocateTokens();
  }

  /** Adds the gradients of the parameters and writes that of the input. */
  void run(PairedAttentionParameters gradients, @Nullable Buffer dx) {
    Doubles[] tokenProducts = outputsBackward();
    AttentionMaps.Gradient[] found = mapsBackward(tokenProducts);
    tokensBackward(found, gradients, dx);
    totals.addTo(gradients);
  }

  /** Pass 1. Returns dy^T X of the channel branch's half, (C / 2 or C, C), of each item. */
  private Doubles[] outputsBackward() {
    Buffer layer = call.spatialLayer(gamma);
    int spatialProducts = layer == null ? 0 : outputs * channels;
    ChunkSums sums = call.sums(spatialProducts + outputs * channels);
    double[][] columns = new double[call.batch * call.chunks][channels];
    float[] scale = Loops.repeated(Values.of(p.gamma()).toArray(), Loops.tile(channels));
    call.forEachChunk((task, worker) -> {
      call.normalize(task, worker, normalized);
      long gradient = call.tokensAt(dy, task);
      long channelHalf = gradient + (long) (channels - outputs) * Float.BYTES;
      if (layer == null) {
        scaleOutputs(task, scale, columns[task], worker);
      } else {
        addColumns(task, columns[task], worker);
        call.product(
            call.count(task),
            channels,
            outputs,
            Operand.plain(gradient, channels),
            Operand.plain(layer.address(), channels),
            call.tokensAt(dspatial, task),
            channels,
            false);
        productOfOutputs(task, gradient, spatial, sums.at(task, 0));
      }
      productOfOutputs(task, channelHalf, normalized, sums.at(task, spatialProducts));
    });
    return outputTotals(sums.totals(), columns, spatialProducts);
  }

  /** dy^T of some columns times rows of all channels. */
  private void productOfOutputs(int task, long gradient, Buffer rows, long to) {
    call.product(
        outputs,
        channels,
        call.count(task),
        Operand.transposed(gradient, channels),
        Operand.plain(call.tokensAt(rows, task), channels),
        to,
        channels,
        false);
  }

  /** Column sums of dy. */
  private void addColumns(int task, double[] columns, Worker worker) {
    Values from = Values.of(dy);
    forEachTile(
        task,
        (first, count) -> {
          float[] values = worker.array(0, count);
          double[] sums = worker.doubles(count);
          from.read(first, values, count);
          Loops.set(sums, values, count);
          addLanes(sums, count, columns);
        });
  }

  /** Without an output layer: dS = gamma dy, and the column sums of dy S. */
  private void scaleOutputs(int task, float[] scale, double[] columns, Worker worker) {
    Values from = Values.of(dy);
    Values branch = Values.of(spatial);
    Values to = Values.of(dspatial);
    forEachTile(
        task,
        (first, count) -> {
          float[] values = worker.array(0, count);
          float[] others = worker.array(1, count);
          double[] sums = worker.doubles(count);
          from.read(first, values, count);
          branch.read(first, others, count);
          Arrays.fill(sums, 0, count, 0);
          Loops.addProducts(values, others, sums, count);
          addLanes(sums, count, columns);
          Loops.scale(values, scale, count);
          to.write(first, values, count);
        });
  }

  private static void addLanes(double[] lanes, int count, double[] columns) {
    for (int first = 0; first < count; first += columns.length) {
      for (int c = 0; c < columns.length; c++) {
        columns[c] += lanes[first + c];
      }
    }
  }

  private interface TileBody {
    void run(long first, int count);
  }

  /** Tiles of whole tokens of a task. */
  private void forEachTile(int task, TileBody body) {
    int tile = Loops.tile(channels);
    long first = call.row(task) * channels;
    long end = first + (long) call.count(task) * channels;
    for (; first < end; first += tile) {
      body.run(first, (int) Math.min(tile, end - first));
    }
  }

  /** Gradients of gamma and of the output layers; keeps the products with X. */
  private Doubles[] outputTotals(double[][] sums, double[][] columns, int spatialProducts) {
    double[] outputSums = Sums.added(columns, channels);
    Doubles[] tokenProducts = new Doubles[call.batch];
    Concatenation fusion = p.fusion();
    int half = channels / 2;
    for (int item = 0; item < call.batch; item++) {
      tokenProducts[item] = Doubles.of(sums[item], spatialProducts, outputs, channels);
      Doubles channelProducts = maps[item].channelProducts(tokenProducts[item]);
      if (fusion == null) {
        for (int c = 0; c < channels; c++) {
          totals.gamma[c] += channelProducts.get(c, c);
        }
      } else {
        Doubles products = Doubles.of(sums[item], 0, half, channels);
        layerBackward(products, fusion.spatialWeight(), 0);
        layerBackward(channelProducts, fusion.channelWeight(), half);
      }
    }
    if (fusion == null) {
      Sums.add(totals.gamma, outputSums);
    } else {
      biasBackward(outputSums, fusion.spatialBias(), 0);
      biasBackward(outputSums, fusion.channelBias(), half);
    }
    return tokenProducts;
  }

  /**
   * An output layer and its gamma.
   *
   * @param products dy^T times the layer's input
   * @param first channel of the output
   */
  private void layerBackward(Doubles products, Buffer weight, int first) {
    Doubles layer = Doubles.of(Values.of(weight), 0, channels / 2, channels);
    for (int c = 0; c < channels / 2; c++) {
      totals.gamma[first + c] += products.rowProduct(c, layer);
      products.scaleRow(c, gamma[first + c]);
    }
    products.addTo(totals.outputWeight, first * channels);
  }

  private void biasBackward(double[] outputSums, Buffer bias, int first) {
    double[] values = Values.of(bias).toDoubles();
    for (int c = 0; c < channels / 2; c++) {
      totals.gamma[first + c] += outputSums[first + c] * values[c];
      totals.outputBias[first + c] += outputSums[first + c] * gamma[first + c];
    }
  }

  /** Pass 2, and what follows from its sums. */
  private AttentionMaps.Gradient[] mapsBackward(Doubles[] tokenProducts) {
    int perMap = channels * projected;
    ChunkSums sums = call.sums(2 * perMap + channels * channels);
    SpatialMaps spatialMaps = new SpatialMaps(call, maps);
    Buffer channelMaps = call.channelMaps(maps, gamma);
    ChunkGradient chunk = new ChunkGradient(sums, spatialMaps, channelMaps);
    call.forEachChunk(chunk::run);
    double[][] found = sums.totals();
    AttentionMaps.Gradient[] gradients = new AttentionMaps.Gradient[call.batch];
    call.context
        .pool()
        .run(
            call.batch,
            (item, _) ->
                gradients[item] =
                    maps[item].gradient(
                        gamma,
                        tokenProducts[item],
                        Doubles.of(found[item], 0, channels, projected),
                        Doubles.of(found[item], perMap, channels, projected)));
    for (int item = 0; item < call.batch; item++) {
      gradients[item].addTo(totals);
      for (int i = 0; i < channels * channels; i++) {
        totals.qkvv[i] += found[item][2 * perMap + i];
      }
    }
    return gradients;
  }

  /** Pass 2 of a chunk. */
  private final class ChunkGradient {
    private final ChunkSums sums;
    private final SpatialMaps spatialMaps;
    private final Buffer channelMaps;
    private final Primitive softmax;
    private final Primitive lastSoftmax;
    private final long perMap = (long) call.chunk * projected;
    private final long perTokens = (long) call.chunk * channels;

    ChunkGradient(ChunkSums sums, SpatialMaps spatialMaps, Buffer channelMaps) {
      this.sums = sums;
      this.spatialMaps = spatialMaps;
      this.channelMaps = channelMaps;
      softmax = primitives.softmax(call.chunk, projected);
      lastSoftmax = primitives.softmax(call.count(call.chunks - 1), projected);
    }

    void run(int task, Worker worker) {
      int count = call.count(task);
      long queries = worker.scratch(3 * perMap + 2 * perTokens);
      long dqueries = queries + perTokens * Float.BYTES;
      long map = dqueries + perTokens * Float.BYTES;
      spatialMaps.queries(task, call.tokensAt(normalized, task), queries);
      for (int head = 0; head < call.heads; head++) {
        headBackward(task, head, worker, queries, dqueries, map);
      }
      long at = call.tokensAt(normalized, task);
      long to = call.tokensAt(dnormalized, task);
      call.product(
          count,
          channels,
          channels,
          Operand.plain(dqueries, channels),
          Operand.plain(p.qkvv().address(), channels),
          to,
          channels,
          false);
      call.product(
          count,
          channels,
          outputs,
          Operand.plain(
              call.tokensAt(dy, task) + (long) (channels - outputs) * Float.BYTES, channels),
          Operand.plain(
              AttentionCall.itemAt(channelMaps, call.item(task), (long) outputs * channels),
              channels),
          to,
          channels,
          true);
      call.product(
          channels,
          channels,
          count,
          Operand.transposed(dqueries, channels),
          Operand.plain(at, channels),
          sums.at(task, 2 * channels * projected),
          channels,
          false);
    }

    private void headBackward(
        int task, int head, Worker worker, long queries, long dqueries, long map) {
      int count = call.count(task);
      long dropped = map + perMap * Float.BYTES;
      long dmap = dropped + perMap * Float.BYTES;
      long branch = call.headAt(dspatial, task, head);
      long branchStride = (long) call.heads * call.tokens;
      spatialMaps.attend(task, head, worker, queries, map);
      call.product(
          count,
          projected,
          call.d,
          Operand.transposed(branch, branchStride),
          spatialMaps.values(task, head),
          dmap,
          projected,
          false);
      call.dropMaps(
          task,
          head,
          worker,
          Values.at(map, perMap),
          Values.at(dropped, perMap),
          Values.at(dmap, perMap));
      call.product(
          call.d,
          projected,
          count,
          Operand.plain(branch, branchStride),
          Operand.plain(dropped, projected),
          sums.at(task, (channels + head * call.d) * projected),
          projected,
          false);
      (call.isFull(task) ? softmax : lastSoftmax).run(worker, map, dmap, dmap);
      call.product(
          call.d,
          projected,
          count,
          Operand.transposed(spatialMaps.ofHead(queries, head), channels),
          Operand.plain(dmap, projected),
          sums.at(task, head * call.d * projected),
          projected,
          false);
      call.product(
          count,
          call.d,
          projected,
          Operand.plain(dmap, projected),
          spatialMaps.keysTransposed(task, head),
          spatialMaps.ofHead(dqueries, head),
          channels,
          false);
    }
  }

  /** Pass 3: each task takes its tokens of every item, so that it alone adds to what they share. */
  private void tokensBackward(
      AttentionMaps.Gradient[] found, PairedAttentionParameters gradients, @Nullable Buffer dx) {
    boolean two = p.hasTwoProjections();
    long perProjection = (long) projected * channels;
    Buffer dgram = call.allocate((long) call.batch * channels * channels);
    Buffer dkeys = call.allocate(call.batch * perProjection);
    Buffer dvalues = two ? call.allocate(call.batch * perProjection) : null;
    for (int item = 0; item < call.batch; item++) {
      found[item].dgram().store(Values.of(dgram), (long) item * channels * channels, channels);
      found[item].dprojectedTokens().store(Values.of(dkeys), item * perProjection, channels);
      if (dvalues != null) {
        found[item].dprojectedOthers().store(Values.of(dvalues), item * perProjection, channels);
      }
    }
    int last = call.count(call.chunks - 1);
    LayerNormGradient norm =
        new LayerNormGradient(primitives, call.chunk, channels, ChannelNorm.EPSILON);
    LayerNormGradient lastNorm =
        new LayerNormGradient(primitives, last, channels, ChannelNorm.EPSILON);
    double[][] scales = new double[call.batch * call.chunks][];
    double[][] shifts = new double[call.batch * call.chunks][];
    call.context
        .pool()
        .run(
            call.chunks,
            (chunk, worker) -> {
              for (int item = 0; item < call.batch; item++) {
                int task = item * call.chunks + chunk;
                gramBackward(task, dgram);
                projectionBackward(task, p.keys(), gradients.keys(), dkeys);
                if (dvalues != null) {
                  projectionBackward(task, p.values(), gradients.values(), dvalues);
                }
                LayerNormGradient own = call.isFull(task) ? norm : lastNorm;
                long rows = (long) call.count(task) * channels;
                long tokens = worker.scratch(rows + own.scratchValues());
                long scratch = tokens + rows * Float.BYTES;
                call.addPositions(task, worker, Values.at(tokens, rows), 0, null);
                long at = call.tokensAt(dnormalized, task);
                own.run(worker, at, tokens, p.normGamma().address(), at, scratch);
                scales[task] = LayerNormGradient.dgamma(scratch, channels).toDoubles();
                shifts[task] = LayerNormGradient.dbeta(scratch, channels).toDoubles();
              }
              addResidual(chunk, worker, gradients.positions(), dx);
            });
    Sums.add(totals.normGamma, Sums.added(scales, channels));
    Sums.add(totals.normBeta, Sums.added(shifts, channels));
  }

  private void gramBackward(int task, Buffer dgram) {
    call.product(
        call.count(task),
        channels,
        channels,
        Operand.plain(call.tokensAt(normalized, task), channels),
        Operand.plain(
            AttentionCall.itemAt(dgram, call.item(task), (long) channels * channels), channels),
        call.tokensAt(dnormalized, task),
        channels,
        true);
  }

  /**
   * A projection along tokens.
   *
   * @param dprojected gradients of what it gave, (B, P, C)
   */
  private void projectionBackward(
      int task, Projection projection, Projection gradients, Buffer dprojected) {
    int count = call.count(task);
    long of = AttentionCall.itemAt(dprojected, call.item(task), (long) projected * channels);
    long tokens = call.tokensAt(normalized, task);
    call.product(
        count,
        channels,
        projected,
        call.projectionTransposed(projection, task),
        Operand.plain(of, channels),
        call.tokensAt(dnormalized, task),
        channels,
        true);
    long to = call.projection(gradients, task).address();
    if (projection.tokenMajor()) {
      call.product(
          count,
          projected,
          channels,
          Operand.plain(tokens, channels),
          Operand.transposed(of, channels),
          to,
          projected,
          true);
    } else {
      call.product(
          projected,
          count,
          channels,
          Operand.plain(of, channels),
          Operand.transposed(tokens, channels),
          to,
          call.tokens,
          true);
    }
  }

  /** dx, and what all items add to the positions of a chunk. */
  private void addResidual(int chunk, Worker worker, Buffer dpositions, @Nullable Buffer dx) {
    Values outputs = Values.of(dy);
    Values attended = Values.of(dnormalized);
    Values to = dx == null ? null : Values.of(dx);
    Values positions = Values.of(dpositions);
    int tile = Loops.tile(channels);
    int elements = call.count(chunk) * channels;
    long position = (long) call.firstToken(chunk) * channels;
    for (int first = 0; first < elements; first += tile) {
      int length = Math.min(tile, elements - first);
      float[] values = worker.array(0, length);
      float[] addend = worker.array(1, length);
      double[] sum = worker.doubles(length);
      positions.read(position + first, values, length);
      Loops.set(sum, values, length);
      for (int item = 0; item < call.batch; item++) {
        long at = call.row(item * call.chunks + chunk) * channels + first;
        outputs.read(at, values, length);
        attended.read(at, addend, length);
        Loops.add(values, addend, length);
        Loops.add(sum, values, length);
        if (to != null) {
          to.write(at, values, length);
        }
      }
      Loops.round(sum, values, length);
      positions.write(position + first, values, length);
    }
  }
}
