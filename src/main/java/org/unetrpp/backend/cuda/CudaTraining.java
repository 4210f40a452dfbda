package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.backend.TrainingPrimitives;
import org.unetrpp.memory.Buffer;

/** What training needs of a GPU beyond its primitives. */
final class CudaTraining implements TrainingPrimitives {
  private final CudaBackend backend;
  private final CudaContext context;
  private final DropoutKernels dropout;
  private final LossKernels loss;
  private final OptimizerKernels optimizer;

  CudaTraining(CudaBackend backend) {
    this.backend = backend;
    context = backend.context();
    dropout = new DropoutKernels(context);
    loss = new LossKernels(context);
    optimizer = new OptimizerKernels(context);
  }

  @Override
  public void convolutionBackwardData(
      Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    backend.convolutions().backwardData(dy, weight, dx, grid, shape);
  }

  @Override
  public void convolutionBackwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    backend.convolutions().backwardWeights(x, dy, dweight, dbias, grid, shape);
  }

  @Override
  public void transposedConvolutionBackwardData(
      Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    backend.transposedConvolution().backwardData(dy, weight, dx, grid, shape);
  }

  @Override
  public void transposedConvolutionBackwardWeights(
      Buffer x, Buffer dy, Buffer dweight, Grid grid, Convolution shape) {
    backend.transposedConvolution().backwardWeights(x, dy, dweight, grid, shape);
  }

  @Override
  public void addColumnSums(MatrixView dy, Buffer dbias) {
    backend.columns().addColumnSums(dy, dbias);
  }

  @Override
  public void addRepeats(Buffer dy, Buffer sum) {
    backend.columns().addRepeats(dy, sum);
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
    backend.layerNorm().backward(dy, x, gamma, dx, dgamma, dbeta, channels, epsilon);
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
    backend.groupNorm().backward(dy, x, gamma, dx, dgamma, dbeta, grid, channels, groups, epsilon);
  }

  @Override
  public void updateStatistics(Buffer x, ChannelNorm.Batch norm, int channels, double momentum) {
    backend.batchNorm().updateStatistics(x, norm, channels, momentum);
  }

  @Override
  public void leakyReluBackward(Buffer dy, Buffer y, Buffer dx, double slope) {
    backend.elements().leakyReluBackward(dy, y, dx, slope);
  }

  @Override
  public void softmaxBackward(Buffer dy, Buffer y, Buffer dx, int columns) {
    backend.softmax().backward(dy, y, dx, columns);
  }

  @Override
  public void addScaledBackward(
      Buffer dy, Buffer gamma, Buffer b, Buffer db, Buffer dgamma, int channels) {
    backend.elements().addScaledBackward(dy, gamma, b, db, dgamma, channels);
  }

  @Override
  public void scaleRunsBackward(Buffer dy, Buffer x, Buffer scales, Buffer dscales, long run) {
    backend.elements().scaleRunsBackward(dy, x, scales, dscales, run);
  }

  @Override
  public void normalizeColumns(MatrixView x, Buffer norms) {
    backend.columns().normalize(x, norms);
  }

  @Override
  public void normalizeColumnsBackward(MatrixView dy, MatrixView y, Buffer norms) {
    backend.columns().normalizeBackward(dy, y, norms);
  }

  @Override
  public void dropout(Buffer x, Buffer y, Dropout which, long first) {
    dropout.dropout(x, y, which, first);
  }

  @Override
  public void channelDropout(Buffer x, Buffer y, Dropout which, Grid grid, int channels) {
    dropout.channelDropout(x, y, which, grid, channels);
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
    backend.elements().copy(x, y);
    changed(y);
  }

  @Override
  public void clear(Buffer x) {
    context.driver().fill(x.address(), (byte) 0, x.bytes(), context.stream());
    changed(x);
  }

  @Override
  public double sumOfSquares(Buffer x) {
    return optimizer.sumOfSquares(x);
  }

  @Override
  public void sgd(Buffer values, Buffer gradients, Buffer velocity, SgdUpdate update) {
    optimizer.sgd(values, gradients, velocity, update);
    changed(values);
  }

  @Override
  public void adamW(
      Buffer values, Buffer gradients, Buffer first, Buffer second, AdamUpdate update) {
    optimizer.adamW(values, gradients, first, second, update);
    changed(values);
  }

  /** What was packed from these values is no longer theirs. */
  private void changed(Buffer values) {
    context.packs().invalidate(values.address(), values.bytes());
  }
}
