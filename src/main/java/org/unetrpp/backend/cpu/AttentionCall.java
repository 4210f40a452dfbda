package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.cpu.OneDnn.Operand;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * One call of {@link AttentionTraining}: its extents, and its tokens cut into chunks. A chunk's
 * tokens, with all that is made of them on the way, stay in the second-level cache; the cut depends
 * on the shape alone.
 */
final class AttentionCall {
  private static final int LARGEST_CHUNK = 512;
  private static final int SMALLEST_CHUNK = 32;
  private static final int CHUNKS = 16;

  final CpuBackend backend;
  final CpuContext context;
  final PairedAttentionParameters p;
  final Dropout channelMaps;
  final Dropout spatialMaps;
  final Buffer x;
  final int batch;
  final int channels;
  final int heads;
  final int d;
  final int tokens;
  final int projected;

  /** Tokens of a chunk. */
  final int chunk;

  /** Chunks of one item. */
  final int chunks;

  /** Channels of the output that each branch gives: half of them, or all where they are summed. */
  final int branchOutputs;

  /** Bits of the values that dropout leaves out of each task's maps, by head; none at odd sizes. */
  private final byte[] @Nullable [] dropped;

  private final Primitive layerNorm;
  private final Primitive lastLayerNorm;
  private final Primitive softmax;
  private final Primitive lastSoftmax;

  AttentionCall(
      CpuBackend backend,
      PairedAttentionParameters p,
      Dropout channelMaps,
      Dropout spatialMaps,
      Buffer x,
      int batch) {
    this.backend = backend;
    context = backend.context();
    this.p = p;
    this.channelMaps = channelMaps;
    this.spatialMaps = spatialMaps;
    this.x = x;
    this.batch = batch;
    channels = p.channels();
    heads = p.heads();
    d = p.headChannels();
    tokens = p.tokens();
    projected = p.projected();
    chunk = Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, Math.ceilDiv(tokens, CHUNKS)));
    chunks = Math.ceilDiv(tokens, chunk);
    branchOutputs = p.fusion() == null ? channels : channels / 2;
    dropped = new byte[batch * chunks * heads][];
    Primitives primitives = context.primitives();
    int last = count(chunks - 1);
    layerNorm = primitives.layerNorm(chunk, channels, ChannelNorm.EPSILON);
    lastLayerNorm = primitives.layerNorm(last, channels, ChannelNorm.EPSILON);
    softmax = primitives.softmax(chunk, projected);
    lastSoftmax = primitives.softmax(last, projected);
  }

  /** Work on one chunk of one item. */
  @FunctionalInterface
  interface ChunkBody {
    /** Does chunk {@code task}, counted through the batch. */
    void run(int task, Worker worker);
  }

  void forEachChunk(ChunkBody body) {
    context.pool().run(batch * chunks, body::run);
  }

  int item(int task) {
    return task / chunks;
  }

  /** First token of a task within its item. */
  int firstToken(int task) {
    return task % chunks * chunk;
  }

  /** First token of a task, counted through the batch. */
  long row(int task) {
    return (long) item(task) * tokens + firstToken(task);
  }

  /** Tokens of a task. */
  int count(int task) {
    return Math.min(chunk, tokens - firstToken(task));
  }

  Buffer allocate(long elements) {
    return backend.scopes().allocate(DType.FLOAT32, elements);
  }

  /** Sums of {@code size} values of each item. */
  ChunkSums sums(int size) {
    return new ChunkSums(backend, batch, chunks, size);
  }

  /** Memory for (B, N, C). */
  Buffer allocateTokens() {
    return allocate((long) batch * tokens * channels);
  }

  static long at(Buffer buffer, long element) {
    return buffer.address() + element * Float.BYTES;
  }

  /** Address of a task's tokens in (B, N, C). */
  long tokensAt(Buffer buffer, int task) {
    return at(buffer, row(task) * channels);
  }

  /** Address of an item's matrix. */
  static long itemAt(Buffer buffer, int item, long elements) {
    return at(buffer, item * elements);
  }

  /**
   * Address of the first value of a head within a branch that lies as (d, h, N), at the first token
   * of the task.
   */
  long headAt(Buffer branch, int task, int head) {
    return at(
        branch, (long) item(task) * tokens * channels + (long) head * tokens + firstToken(task));
  }

  /**
   * Writes {@code x + positions} of a task's tokens, and a bias on top.
   *
   * @param toElement where in {@code to} they begin
   * @param bias of each channel, by the tile, or none
   */
  void addPositions(int task, Worker worker, Values to, long toElement, float @Nullable [] bias) {
    Values input = Values.of(x);
    Values positions = Values.of(p.positions());
    long begin = row(task) * channels;
    long position = (long) firstToken(task) * channels;
    int elements = count(task) * channels;
    int tile = Loops.tile(channels);
    for (int first = 0; first < elements; first += tile) {
      int length = Math.min(tile, elements - first);
      float[] sum = worker.array(0, length);
      float[] addend = worker.array(1, length);
      input.read(begin + first, sum, length);
      positions.read(position + first, addend, length);
      Loops.add(sum, addend, length);
      if (bias != null) {
        Loops.add(sum, bias, length);
      }
      to.write(toElement + first, sum, length);
    }
  }

  /** Writes the normalized tokens of a task to their place in (B, N, C). */
  void normalize(int task, Worker worker, Buffer normalized) {
    addPositions(task, worker, Values.of(normalized), row(task) * channels, null);
    long at = tokensAt(normalized, task);
    (isFull(task) ? layerNorm : lastLayerNorm)
        .run(worker, at, at, p.normGamma().address(), p.normBeta().address());
  }

  boolean isFull(int task) {
    return count(task) == chunk;
  }

  /** Softmax of each of a task's rows of P values, in place. */
  void softmax(int task, Worker worker, long maps) {
    (isFull(task) ? softmax : lastSoftmax).run(worker, maps, maps);
  }

  /** The columns of a projection's weight that belong to a task's tokens, as (P, tokens). */
  Operand projection(Projection projection, int task) {
    long first = firstToken(task);
    return projection.tokenMajor()
        ? Operand.transposed(at(projection.weight(), first * projected), projected)
        : Operand.plain(at(projection.weight(), first), tokens);
  }

  /** The same as (tokens, P). */
  Operand projectionTransposed(Projection projection, int task) {
    long first = firstToken(task);
    return projection.tokenMajor()
        ? Operand.plain(at(projection.weight(), first * projected), projected)
        : Operand.transposed(at(projection.weight(), first), tokens);
  }

  /** {@code c = op(a) op(b)}, or {@code c += op(a) op(b)}. */
  void product(
      int rows,
      int columns,
      int inner,
      Operand a,
      Operand b,
      long c,
      long rowStride,
      boolean accumulate) {
    context.oneDnn().sgemm(rows, columns, inner, a, b, c, rowStride, accumulate);
  }

  /** Index of the first value of a task's map of one head among those that dropout covers. */
  long mapIndex(int task, int head) {
    return (((long) item(task) * heads + head) * tokens + firstToken(task)) * projected;
  }

  /** Drops values of a task's map of one head, in place, and remembers which. */
  void dropMap(int task, int head, Worker worker, Values map) {
    if (spatialMaps.isNone()) {
      return;
    }
    int elements = count(task) * projected;
    if (projected % DropoutMask.BLOCK == 0) {
      dropped[task * heads + head] =
          worker.dropoutFactors().bits(spatialMaps, mapIndex(task, head), elements);
    }
    for (int first = 0; first < elements; first += Worker.TILE) {
      int length = Math.min(Worker.TILE, elements - first);
      float[] factors = factors(task, head, first, length, worker);
      scale(map, map, first, factors, length, worker);
    }
  }

  /**
   * Drops the same values of the same map made again, and of its gradient.
   *
   * @param map contiguous rows of P values
   * @param droppedMap where the map goes
   * @param dmap gradient, in place
   */
  void dropMaps(int task, int head, Worker worker, Values map, Values droppedMap, Values dmap) {
    int elements = count(task) * projected;
    if (spatialMaps.isNone()) {
      droppedMap.copyFrom(map, 0, 0, elements);
      return;
    }
    for (int first = 0; first < elements; first += Worker.TILE) {
      int length = Math.min(Worker.TILE, elements - first);
      float[] factors = factors(task, head, first, length, worker);
      scale(map, droppedMap, first, factors, length, worker);
      scale(dmap, dmap, first, factors, length, worker);
    }
  }

  private float[] factors(int task, int head, int first, int length, Worker worker) {
    float[] factors = worker.array(1, length);
    byte[] known = dropped[task * heads + head];
    if (known == null) {
      worker.dropoutFactors().factors(spatialMaps, mapIndex(task, head) + first, factors, length);
    } else {
      worker.dropoutFactors().factors(spatialMaps, known, first, factors, length);
    }
    return factors;
  }

  private static void scale(
      Values from, Values to, long first, float[] factors, int length, Worker worker) {
    float[] values = worker.array(0, length);
    from.read(first, values, length);
    Loops.scale(values, factors, length);
    to.write(first, values, length);
  }

  /** gamma and the channel branch's layer and maps, (B, C / 2 or C, C). */
  Buffer channelMaps(AttentionMaps[] maps, double[] gamma) {
    long perItem = (long) branchOutputs * channels;
    Buffer result = allocate(batch * perItem);
    for (int item = 0; item < batch; item++) {
      maps[item].scaledChannelBranch(gamma).store(Values.of(result), item * perItem, channels);
    }
    return result;
  }

  /** gamma and the spatial branch's layer, (C / 2, C); none where the branches are summed. */
  @Nullable Buffer spatialLayer(double[] gamma) {
    Concatenation fusion = p.fusion();
    if (fusion == null) {
      return null;
    }
    Doubles layer = Doubles.of(Values.of(fusion.spatialWeight()), 0, channels / 2, channels);
    for (int c = 0; c < channels / 2; c++) {
      layer.scaleRow(c, gamma[c]);
    }
    Buffer result = allocate((long) channels / 2 * channels);
    layer.store(Values.of(result), 0, channels);
    return result;
  }
}
