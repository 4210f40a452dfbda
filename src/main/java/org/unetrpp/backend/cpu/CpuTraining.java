package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.memory.Buffer;

/**
 * Training on the processor. Sums are taken in double over chunks that the shape alone decides, and
 * merged in their order.
 */
final class CpuTraining implements TrainingPrimitives {
  private final CpuBackend backend;
  private final CpuContext context;
  private final BackwardPrimitives primitives;
  private final ConvolutionGradients convolutions;
  private final NormalizationGradients normalizations;
  private final Sums sums;
  private final LossKernels loss;
  private final OptimizerKernels optimizers;

  CpuTraining(CpuBackend backend) {
    this.backend = backend;
    context = backend.context();
    primitives = new BackwardPrimitives(context);
    convolutions = new ConvolutionGradients(backend, primitives);
    normalizations = new NormalizationGradients(context, primitives);
    sums = new Sums(context);
    loss = new LossKernels(context);
    optimizers = new OptimizerKernels(context);
  }

  NormalizationGradients normalizations() {
    return normalizations;
  }

  @Override
  public void convolutionBackwardData(
      Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    convolutions.data(dy, weight, dx, grid, shape);
  }

  @Override
  public void convolutionBackwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    convolutions.weights(x, dy, dweight, grid, shape);
    if (dbias != null) {
      addColumnSums(MatrixView.of(dy, shape.outChannels()), dbias);
    }
  }

  /** The convolution that a transposed one takes the gradients of. */
  private static Convolution transposed(Convolution shape) {
    return Convolution.patches(shape.outChannels(), shape.inChannels(), shape.kernel());
  }

  @Override
  public void transposedConvolutionBackwardData(
      Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    backend.convolution(dy, weight, null, dx, grid.times(shape.kernel()), transposed(shape));
  }

  @Override
  public void transposedConvolutionBackwardWeights(
      Buffer x, Buffer dy, Buffer dweight, Grid grid, Convolution shape) {
    convolutions.weights(dy, x, dweight, grid.times(shape.kernel()), transposed(shape));
  }

  @Override
  public void addColumnSums(MatrixView dy, Buffer dbias) {
    Sums.addTo(dbias, sums.ofColumns(dy));
  }

  @Override
  public void addRepeats(Buffer dy, Buffer sum) {
    long run = sum.elements();
    if (run <= Worker.TILE) {
      addColumnSums(MatrixView.of(dy, Math.toIntExact(run)), sum);
      return;
    }
    Values from = Values.of(dy);
    Values to = Values.of(sum);
    context.forEachTile(
        run,
        1,
        (first, count, worker) -> {
          float[] values = worker.array(0, count);
          double[] total = worker.doubles(count);
          to.read(first, values, count);
          Loops.set(total, values, count);
          for (long at = first; at < dy.elements(); at += run) {
            from.read(at, values, count);
            Loops.add(total, values, count);
          }
          Loops.round(total, values, count);
          to.write(first, values, count);
        });
  }

  @Override
  public void layerNormBackward(
      Buffer dy,
      Buffer x,
      Buffer gamma,
      Buffer dx,
      Buffer dgamma,
      Buffer dbeta,
      int channels,
      double epsilon) {
    normalizations.layerNorm(dy, x, gamma, dx, dgamma, dbeta, channels, epsilon);
  }

  @Override
  public void groupNormBackward(
      Buffer dy,
      Buffer x,
      @Nullable Buffer gamma,
      Buffer dx,
      @Nullable Buffer dgamma,
      @Nullable Buffer dbeta,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    normalizations.groupNorm(dy, x, gamma, dx, dgamma, dbeta, grid, channels, groups, epsilon);
  }

  @Override
  public void updateStatistics(Buffer x, ChannelNorm.Batch norm, int channels, double momentum) {
    normalizations.updateStatistics(x, norm, channels, momentum);
  }

  private interface TileMap {
    void apply(long first, float[] dy, float[] other, int count);
  }

  /** {@code result = f(dy, other)} by tiles of whole rows of {@code period} values. */
  private void map(Buffer dy, Buffer other, Buffer result, int period, TileMap function) {
    Values gradient = Values.of(dy);
    Values second = Values.of(other);
    Values to = Values.of(result);
    context.forEachTile(
        dy.elements(),
        period,
        (first, count, worker) -> {
          float[] values = worker.array(0, count);
          float[] others = worker.array(1, count);
          gradient.read(first, values, count);
          second.read(first, others, count);
          function.apply(first, values, others, count);
          to.write(first, values, count);
        });
  }

  @Override
  public void leakyReluBackward(Buffer dy, Buffer y, Buffer dx, double slope) {
    if (!(slope > 0 && slope <= 1)) {
      throw new IllegalArgumentException(
          "LeakyReLU of slope " + slope + ", expected above 0 and at most 1");
    }
    float factor = (float) slope;
    map(
        dy,
        y,
        dx,
        1,
        (_, values, output, count) -> Loops.leakyReluGradient(values, output, factor, count));
  }

  @Override
  public void softmaxBackward(Buffer dy, Buffer y, Buffer dx, int columns) {
    int rows = Math.toIntExact(dy.elements() / columns);
    int perTask = Math.min(rows, Math.max(1, CpuContext.TASK_VALUES / columns));
    Primitive full = primitives.softmax(perTask, columns);
    Primitive last = primitives.softmax(CpuContext.lastBlock(rows, perTask), columns);
    context.forEachBlock(
        rows,
        perTask,
        (first, count, worker) -> {
          long at = (long) first * columns * Float.BYTES;
          (count == perTask ? full : last)
              .run(worker, y.address() + at, dy.address() + at, dx.address() + at);
        });
  }

  @Override
  public void addScaledBackward(
      Buffer dy, Buffer gamma, Buffer b, Buffer db, Buffer dgamma, int channels) {
    Values gradient = Values.of(dy);
    Values scaled = Values.of(b);
    Values to = Values.of(db);
    float[] scale = Loops.repeated(Values.of(gamma).toArray(), Loops.tile(channels));
    double[] added =
        sums.byColumn(
            dy.elements(),
            channels,
            (first, count, total, worker) -> {
              float[] values = worker.array(0, count);
              float[] others = worker.array(1, count);
              gradient.read(first, values, count);
              scaled.read(first, others, count);
              Loops.addProducts(values, others, total, count);
              Loops.scale(values, scale, count);
              to.write(first, values, count);
            });
    Sums.addTo(dgamma, added);
  }

  @Override
  public void scaleRunsBackward(Buffer dy, Buffer x, Buffer scales, Buffer dscales, long run) {
    Values gradient = Values.of(dy);
    Values input = Values.of(x);
    float[] factors = Values.of(scales).toArray();
    int tiles = Math.toIntExact(Math.ceilDiv(dy.elements(), Worker.TILE));
    double[][] parts = new double[tiles][factors.length];
    context.forEachTile(
        dy.elements(),
        1,
        (first, count, worker) -> {
          float[] values = worker.array(0, count);
          float[] others = worker.array(1, count);
          gradient.read(first, values, count);
          input.read(first, others, count);
          Loops.scale(others, values, count);
          double[] part = parts[(int) (first / Worker.TILE)];
          Runs.forEach(
              first,
              count,
              run,
              factors.length,
              (scale, from, to) -> {
                part[scale] += Loops.sum(others, from, to);
                Loops.scale(values, factors[scale], from, to);
              });
          gradient.write(first, values, count);
        });
    Sums.addTo(dscales, Sums.added(parts, factors.length));
  }

  @Override
  public void normalizeColumns(MatrixView x, Buffer norms) {
    backend.columns().normalize(x, norms);
  }

  @Override
  public void normalizeColumnsBackward(MatrixView dy, MatrixView y, Buffer norms) {
    backend.columns().normalizeGradient(dy, y, norms);
  }

  @Override
  public void dropout(Buffer x, Buffer y, Dropout dropout, long first) {
    Values from = Values.of(x);
    Values to = Values.of(y);
    context.forEachTile(
        x.elements(),
        1,
        (at, count, worker) -> {
          float[] values = worker.array(0, count);
          float[] factors = worker.array(1, count);
          from.read(at, values, count);
          worker.dropoutFactors().factors(dropout, first + at, factors, count);
          Loops.scale(values, factors, count);
          to.write(at, values, count);
        });
  }

  @Override
  public void channelDropout(Buffer x, Buffer y, Dropout dropout, Grid grid, int channels) {
    float[] factors = new float[grid.batch() * channels];
    new DropoutMask(dropout).factors(0, factors, factors.length);
    float[][] ofItem = new float[grid.batch()][];
    Arrays.setAll(
        ofItem,
        item -> {
          float[] own = Arrays.copyOfRange(factors, item * channels, (item + 1) * channels);
          return Loops.repeated(own, Loops.tile(channels));
        });
    Values from = Values.of(x);
    Values to = Values.of(y);
    context.forEachTile(
        grid.batch(),
        x.elements(),
        channels,
        (item, first, count, worker) -> {
          float[] values = worker.array(0, count);
          from.read(first, values, count);
          Loops.scale(values, ofItem[item], count);
          to.write(first, values, count);
        });
  }

  @Override
  public LossSums lossSums(
      Buffer logits, Buffer target, Buffer probabilities, int batch, int classes) {
    return loss.sums(logits, target, probabilities, batch, classes);
  }

  @Override
  public void lossGradient(
      Buffer probabilities,
      Buffer target,
      LossWeights weights,
      Buffer dlogits,
      int batch,
      int classes) {
    loss.gradient(probabilities, target, weights, dlogits, batch, classes);
  }

  @Override
  public void copy(Buffer x, Buffer y) {
    Values from = Values.of(x);
    Values to = Values.of(y);
    context.forEachTile(
        x.elements(), 1, (first, count, _) -> to.copyFrom(from, first, first, count));
    context.packs().invalidate(y.address(), y.bytes());
  }

  @Override
  public void clear(Buffer x) {
    Values values = Values.of(x);
    context.forEachTile(x.elements(), 1, (first, count, _) -> values.clear(first, count));
    context.packs().invalidate(x.address(), x.bytes());
  }

  @Override
  public double sumOfSquares(Buffer x) {
    Values values = Values.of(x);
    double[] sum =
        sums.byColumn(
            x.elements(),
            1,
            (first, count, total, worker) -> {
              float[] tile = worker.array(0, count);
              values.read(first, tile, count);
              Loops.addProducts(tile, tile, total, count);
            });
    return sum[0];
  }

  @Override
  public void sgd(Buffer values, Buffer gradients, Buffer velocity, SgdUpdate update) {
    optimizers.sgd(values, gradients, velocity, update);
  }

  @Override
  public void adamW(
      Buffer values, Buffer gradients, Buffer first, Buffer second, AdamUpdate update) {
    optimizers.adamW(values, gradients, first, second, update);
  }
}
