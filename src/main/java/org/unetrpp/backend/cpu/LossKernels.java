package org.unetrpp.backend.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.memory.Buffer;

/**
 * The sums that Dice and cross entropy are made of, and the gradient that they give the logits, a
 * chunk of voxels at a time: its classes are rows that stay in the cache.
 */
final class LossKernels {
  private static final int CHUNK = 2048;

  /** Below this, three terms of the series of the logarithm are exact to a double's rounding. */
  private static final double SERIES = 1e-4;

  private final CpuContext context;

  LossKernels(CpuContext context) {
    this.context = context;
  }

  /** The voxels that a task does. */
  private record Chunk(int item, int first, int count) {}

  private interface ChunkBody {
    void run(int task, Chunk chunk, Worker worker);
  }

  private int chunksOf(int voxels) {
    return Math.ceilDiv(voxels, CHUNK);
  }

  private void forEachChunk(int batch, int voxels, ChunkBody body) {
    int perItem = chunksOf(voxels);
    context
        .pool()
        .run(
            batch * perItem,
            (task, worker) -> {
              int first = task % perItem * CHUNK;
              int count = Math.min(CHUNK, voxels - first);
              body.run(task, new Chunk(task / perItem, first, count), worker);
            });
  }

  /** What a chunk adds to the sums. */
  private static final class Part {
    private final double[] overlap;
    private final double[] predicted;
    private final double[] target;
    private double crossEntropy;

    Part(int classes) {
      overlap = new double[classes];
      predicted = new double[classes];
      target = new double[classes];
    }
  }

  /** Softmax over the classes, and the sums. */
  LossSums sums(Buffer logits, Buffer target, Buffer probabilities, int batch, int classes) {
    int voxels = Math.toIntExact(target.elements() / batch);
    int full = Math.min(CHUNK, voxels);
    Primitive softmax = context.primitives().softmaxOfColumns(classes, full);
    Primitive lastSoftmax =
        context.primitives().softmaxOfColumns(classes, CpuContext.lastBlock(voxels, full));
    Part[] parts = new Part[batch * chunksOf(voxels)];
    forEachChunk(
        batch,
        voxels,
        (task, chunk, worker) -> {
          long first = (long) chunk.item() * classes * voxels + chunk.first();
          Rows from = new Rows(Values.of(logits), first, voxels);
          Rows to = new Rows(Values.of(probabilities), first, voxels);
          int count = chunk.count();
          long scratch = worker.scratch((long) classes * count);
          Values rows = Values.at(scratch, (long) classes * count);
          for (int k = 0; k < classes; k++) {
            rows.copyFrom(from.values(), from.at(k), (long) k * count, count);
          }
          (count == full ? softmax : lastSoftmax).run(worker, scratch, scratch);
          float[] labels = worker.array(0, count);
          Values.of(target).read((long) chunk.item() * voxels + chunk.first(), labels, count);
          parts[task] = part(from, new Rows(rows, 0, count), labels, classes, count, worker);
          for (int k = 0; k < classes; k++) {
            to.values().copyFrom(rows, (long) k * count, to.at(k), count);
          }
        });
    return added(parts, batch, classes);
  }

  /** One row of voxels for each class. */
  private record Rows(Values values, long first, long step) {
    long at(int k) {
      return first + k * step;
    }
  }

  private static Part part(
      Rows logits, Rows probabilities, float[] labels, int classes, int count, Worker worker) {
    Part part = new Part(classes);
    float[] row = worker.array(1, count);
    float[] largestLogit = worker.array(2, count);
    float[] largest = worker.array(3, count);
    double[] sum = worker.doubles(count);
    Arrays.fill(largestLogit, 0, count, Float.NEGATIVE_INFINITY);
    Arrays.fill(largest, 0, count, 0);
    Arrays.fill(sum, 0, count, 0);
    for (int k = 0; k < classes; k++) {
      logits.values().read(logits.at(k), row, count);
      Loops.takeLarger(largestLogit, row, count);
      probabilities.values().read(probabilities.at(k), row, count);
      Loops.takeLarger(largest, row, count);
      Loops.add(sum, row, count);
      part.predicted[k] = Loops.sum(row, 0, count);
    }
    MemorySegment logit = logits.values().segment();
    MemorySegment probability = probabilities.values().segment();
    for (int i = 0; i < count; i++) {
      int label = (int) labels[i];
      part.overlap[label] += probability.getAtIndex(JAVA_FLOAT, probabilities.at(label) + i);
      part.target[label]++;
      double behind = (double) largestLogit[i] - logit.getAtIndex(JAVA_FLOAT, logits.at(label) + i);
      part.crossEntropy += behind + minusLogOfComplement(sum[i] - largest[i]);
    }
    return part;
  }

  /**
   * {@code -log(1 - rest)}, where the rest is what the most probable class leaves to the others:
   * that has more digits than the probability itself.
   */
  private static double minusLogOfComplement(double rest) {
    if (rest < SERIES) {
      return rest * (1 + rest * (1 / 2.0 + rest / 3));
    }
    return -Math.log(1 - rest);
  }

  private static LossSums added(Part[] parts, int batch, int classes) {
    double[] overlap = new double[batch * classes];
    double[] predicted = new double[batch * classes];
    double[] target = new double[batch * classes];
    double crossEntropy = 0;
    int perItem = parts.length / batch;
    for (int task = 0; task < parts.length; task++) {
      Part part = parts[task];
      int first = task / perItem * classes;
      for (int k = 0; k < classes; k++) {
        overlap[first + k] += part.overlap[k];
        predicted[first + k] += part.predicted[k];
        target[first + k] += part.target[k];
      }
      crossEntropy += part.crossEntropy;
    }
    return new LossSums(overlap, predicted, target, crossEntropy);
  }

  /**
   * The gradient of the logits: {@code dz_k = p_k (g_k - sum_j p_j g_j) + c (p_k - [k = t])}, where
   * g_k is the weight of class k's predicted sum, plus that of its overlap in its own voxels, and c
   * the weight of the cross entropy.
   */
  void gradient(
      Buffer probabilities,
      Buffer target,
      LossWeights weights,
      Buffer dlogits,
      int batch,
      int classes) {
    int voxels = Math.toIntExact(target.elements() / batch);
    forEachChunk(
        batch,
        voxels,
        (_, chunk, worker) -> {
          long first = (long) chunk.item() * classes * voxels + chunk.first();
          float[] labels = worker.array(0, chunk.count());
          Values.of(target)
              .read((long) chunk.item() * voxels + chunk.first(), labels, chunk.count());
          Rows from = new Rows(Values.of(probabilities), first, voxels);
          Rows to = new Rows(Values.of(dlogits), first, voxels);
          gradient(from, labels, weights, chunk.item() * classes, to, classes, chunk, worker);
        });
  }

  private static void gradient(
      Rows from,
      float[] labels,
      LossWeights weights,
      int firstWeight,
      Rows to,
      int classes,
      Chunk chunk,
      Worker worker) {
    int count = chunk.count();
    float[] row = worker.array(1, count);
    float[] mean = worker.array(2, count); // of the weights, less that of the cross entropy
    float[] own = worker.array(3, count); // what voxels add to the gradient of their class
    MemorySegment probability = from.values().segment();
    float crossEntropy = (float) weights.crossEntropy();
    for (int i = 0; i < count; i++) {
      int label = (int) labels[i];
      float overlap =
          probability.getAtIndex(JAVA_FLOAT, from.at(label) + i)
              * (float) weights.overlap()[firstWeight + label];
      own[i] = overlap - crossEntropy;
      mean[i] = own[i];
    }
    for (int k = 0; k < classes; k++) {
      from.values().read(from.at(k), row, count);
      Loops.addScaled(mean, (float) weights.predicted()[firstWeight + k], row, count);
    }
    for (int k = 0; k < classes; k++) {
      from.values().read(from.at(k), row, count);
      Loops.scaleByDifference(row, (float) weights.predicted()[firstWeight + k], mean, count);
      to.values().write(to.at(k), row, count);
    }
    MemorySegment result = to.values().segment();
    for (int i = 0; i < count; i++) {
      long at = to.at((int) labels[i]) + i;
      result.setAtIndex(JAVA_FLOAT, at, result.getAtIndex(JAVA_FLOAT, at) + own[i]);
    }
  }
}
