package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.Pullback;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.memory.Buffer;

/**
 * Efficient paired attention in training mode in few passes over chunks of tokens. What is summed
 * over tokens follows from those sums of the normalized tokens X, as in {@link PairedAttention}:
 *
 * <pre>
 *   pass 1     G = X^T X, Y = E X                     (C, C), (P, C); F X for another projection
 *   between    norms, channel maps A, Kp and Vp       {@link AttentionMaps}, in double
 *   pass 2     S_s = dropout(softmax(X Wq_s^T (t2_s Kp_s / |q|))) Vp_s^T        by head s
 *   pass 3     y = x + positions + gamma [S Wout^T + b | X (dropout(A) Wc)^T Wout2^T + b2]
 * </pre>
 *
 * Dropout acts on maps after their softmax, so all of this is as exact with it as without. The maps
 * between tokens and projected tokens exist for one head of a chunk at a time. Of the forward pass
 * S is kept, and what lies between the passes; {@link AttentionGradient} makes the rest again.
 */
final class AttentionTraining {
  /** Below this many tokens for each channel, what lies between the passes costs too much. */
  private static final int TOKENS_PER_CHANNEL = 16;

  private final CpuBackend backend;
  private final BackwardPrimitives primitives;

  AttentionTraining(CpuBackend backend) {
    this.backend = backend;
    primitives = new BackwardPrimitives(backend.context());
  }

  /** Whether sums over the tokens are cheaper than queries, keys and values of every token. */
  static boolean pays(PairedAttentionParameters p) {
    return p.tokens() >= TOKENS_PER_CHANNEL * p.channels();
  }

  /** {@code t = x + positions; y = t + gamma EPA(LayerNorm(t))}. */
  Pullback<PairedAttentionParameters> run(
      Buffer x,
      PairedAttentionParameters p,
      Dropout channelMaps,
      Dropout spatialMaps,
      Buffer y,
      int batch) {
    AttentionCall call = new AttentionCall(backend, p, channelMaps, spatialMaps, x, batch);
    Buffer spatial = call.allocateTokens();
    AttentionMaps[] maps;
    try (var _ = backend.scopes().open()) {
      maps = new Forward(call, spatial).run(y);
    }
    return (dy, gradients, dx) -> {
      try (var _ = backend.scopes().open()) {
        new AttentionGradient(call, primitives, maps, spatial, dy).run(gradients, dx);
      }
      backend.scopes().release(spatial);
    };
  }

  /** The passes of one call. */
  private static final class Forward {
    private final AttentionCall call;
    private final PairedAttentionParameters p;
    private final int channels;
    private final int projected;

    /** S, (B, d, h, N). */
    private final Buffer spatial;

    /** X, (B, N, C). */
    private final Buffer normalized;

    Forward(AttentionCall call, Buffer spatial) {
      this.call = call;
      this.spatial = spatial;
      p = call.p;
      channels = call.channels;
      projected = call.projected;
      normalized = call.allocateTokens();
    }

    AttentionMaps[] run(Buffer y) {
      double[][] sums = gather();
      AttentionMaps[] maps = new AttentionMaps[call.batch];
      call.context
          .pool()
          .run(
              call.batch,
              (item, _) -> maps[item] = new AttentionMaps(p, sums[item], call.channelMaps, item));
      attend(new SpatialMaps(call, maps));
      combine(maps, y);
      return maps;
    }

    /** Pass 1: G, E X and, where there is another projection, F X. */
    private double[][] gather() {
      boolean two = p.hasTwoProjections();
      int gram = channels * channels;
      int projection = projected * channels;
      ChunkSums sums = call.sums(gram + (two ? 2 : 1) * projection);
      call.forEachChunk((task, worker) -> {
        call.normalize(task, worker, normalized);
        long at = call.tokensAt(normalized, task);
        Operand rows = Operand.plain(at, channels);
        call.product(
            channels,
            channels,
            call.count(task),
            Operand.transposed(at, channels),
            rows,
            sums.at(task, 0),
            channels,
            false);
        project(p.keys(), task, rows, sums.at(task, gram));
        if (two) {
          project(p.values(), task, rows, sums.at(task, gram + projection));
        }
      });
      return sums.totals();
    }

    private void project(Projection projection, int task, Operand rows, long to) {
      call.product(
          projected,
          channels,
          call.count(task),
          call.projection(projection, task),
          rows,
          to,
          channels,
          false);
    }

    /** Pass 2: S, transposed, to where the published code has it. */
    private void attend(SpatialMaps maps) {
      long perMap = (long) call.chunk * projected;
      call.forEachChunk((task, worker) -> {
        long map = worker.scratch(perMap + (long) call.chunk * channels);
        long queries = map + perMap * Float.BYTES;
        Values values = Values.at(map, perMap);
        maps.queries(task, call.tokensAt(normalized, task), queries);
        for (int head = 0; head < call.heads; head++) {
          maps.attend(task, head, worker, queries, map);
          call.dropMap(task, head, worker, values);
          call.product(
              call.d,
              call.count(task),
              projected,
              maps.values(task, head),
              Operand.transposed(map, projected),
              call.headAt(spatial, task, head),
              (long) call.heads * call.tokens,
              false);
        }
      });
    }

    /** Pass 3. */
    private void combine(AttentionMaps[] maps, Buffer y) {
      int outputs = call.branchOutputs;
      double[] gamma = Values.of(p.gamma()).toDoubles();
      float[] scale = Loops.repeated(Values.of(p.gamma()).toArray(), Loops.tile(channels));
      float[] bias = bias(gamma);
      Buffer channelMaps = call.channelMaps(maps, gamma);
      Buffer spatialMap = call.spatialLayer(gamma);
      call.forEachChunk((task, worker) -> {
        int count = call.count(task);
        call.addPositions(task, worker, Values.of(y), call.row(task) * channels, bias);
        long to = call.tokensAt(y, task);
        if (spatialMap == null) {
          addSpatial(task, scale, y, worker);
        } else {
          call.product(
              count,
              channels / 2,
              channels,
              Operand.plain(call.tokensAt(spatial, task), channels),
              Operand.transposed(spatialMap.address(), channels),
              to,
              channels,
              true);
        }
        call.product(
            count,
            outputs,
            channels,
            Operand.plain(call.tokensAt(normalized, task), channels),
            Operand.transposed(
                AttentionCall.itemAt(channelMaps, call.item(task), (long) outputs * channels),
                channels),
            to + (long) (channels - outputs) * Float.BYTES,
            channels,
            true);
      });
    }

    /** The biases of both output layers times gamma, by the tile; none if there are no layers. */
    private float @Nullable [] bias(double[] gamma) {
      Concatenation fusion = p.fusion();
      if (fusion == null) {
        return null;
      }
      double[] spatialBias = Values.of(fusion.spatialBias()).toDoubles();
      double[] channelBias = Values.of(fusion.channelBias()).toDoubles();
      float[] bias = new float[channels];
      int half = channels / 2;
      Arrays.setAll(spatialBias, c -> spatialBias[c] * gamma[c]);
      Arrays.setAll(channelBias, c -> channelBias[c] * gamma[half + c]);
      for (int c = 0; c < half; c++) {
        bias[c] = (float) spatialBias[c];
        bias[half + c] = (float) channelBias[c];
      }
      return Loops.repeated(bias, Loops.tile(channels));
    }

    /** {@code y += gamma S}. */
    private void addSpatial(int task, float[] gamma, Buffer y, Worker worker) {
      Values branch = Values.of(spatial);
      Values output = Values.of(y);
      int tile = Loops.tile(channels);
      long begin = call.row(task) * channels;
      int elements = call.count(task) * channels;
      for (int first = 0; first < elements; first += tile) {
        int length = Math.min(tile, elements - first);
        float[] sum = worker.array(0, length);
        float[] addend = worker.array(1, length);
        output.read(begin + first, sum, length);
        branch.read(begin + first, addend, length);
        Loops.addScaled(sum, gamma, addend, length);
        output.write(begin + first, sum, length);
      }
    }
  }
}
