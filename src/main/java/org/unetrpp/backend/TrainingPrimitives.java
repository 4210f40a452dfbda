package org.unetrpp.backend;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * What training needs of a device beyond {@link Backend}: gradients of its primitives, dropout, the
 * loss, the optimizers. Gradients of activations overwrite their buffer; gradients of parameters
 * are <em>added</em> to theirs, so that a parameter may be used several times. Sums run in a fixed
 * order, so results are the same bytes every time.
 */
public interface TrainingPrimitives {
  /**
   * Gradient of a convolution's input.
   *
   * @param dy (B, D', H', W', Cout)
   * @param weight (Cout, Cin, kD, kH, kW)
   * @param dx (B, D, H, W, Cin)
   * @param grid of {@code dx}
   */
  void convolutionBackwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape);

  /**
   * Adds the gradients of a convolution's weights.
   *
   * @param x (B, D, H, W, Cin)
   * @param dy (B, D', H', W', Cout)
   * @param dweight (Cout, Cin, kD, kH, kW)
   * @param dbias (Cout), or none
   * @param grid of {@code x}
   */
  void convolutionBackwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape);

  /**
   * Gradient of the input of {@link Backend#transposedConvolution}.
   *
   * @param dy (B, D kD, H kH, W kW, Cout)
   * @param weight (Cin, Cout, kD, kH, kW)
   * @param dx (B, D, H, W, Cin)
   * @param grid of {@code dx}
   */
  void transposedConvolutionBackwardData(
      Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape);

  /**
   * Adds the gradient of the weights of {@link Backend#transposedConvolution}.
   *
   * @param x (B, D, H, W, Cin)
   * @param dy (B, D kD, H kH, W kW, Cout)
   * @param dweight (Cin, Cout, kD, kH, kW)
   * @param grid of {@code x}
   */
  void transposedConvolutionBackwardWeights(
      Buffer x, Buffer dy, Buffer dweight, Grid grid, Convolution shape);

  /** Adds each column's sum over the rows: the gradient of {@link Backend#addBias}. */
  void addColumnSums(MatrixView dy, Buffer dbias);

  /** Adds the sum of all runs of as many values as {@code sum} has. */
  void addRepeats(Buffer dy, Buffer sum);

  /** Gradients of {@link Backend#layerNorm} at input {@code x}; {@code dx} may be {@code dy}. */
  void layerNormBackward(
      Buffer dy,
      Buffer x,
      Buffer gamma,
      Buffer dx,
      Buffer dgamma,
      Buffer dbeta,
      int channels,
      double epsilon);

  /**
   * Gradients of {@link Backend#groupNorm} at input {@code x}; {@code dx} may be {@code dy} or
   * {@code x}.
   *
   * @param gamma scale, (C), or none; then neither {@code dgamma} nor {@code dbeta}
   */
  void groupNormBackward(
      Buffer dy,
      Buffer x,
      @Nullable Buffer gamma,
      Buffer dx,
      @Nullable Buffer dgamma,
      @Nullable Buffer dbeta,
      Grid grid,
      int channels,
      int groups,
      double epsilon);

  /**
   * Moves the running statistics of a batch normalization towards those of {@code x}: {@code
   * running = (1 - momentum) running + momentum batch}, with the unbiased variance.
   *
   * @param x rows of C values, at least two of them
   */
  void updateStatistics(Buffer x, ChannelNorm.Batch norm, int channels, double momentum);

  /**
   * Gradient of {@link Backend#leakyRelu} with output {@code y}; {@code dx} may be {@code dy} or
   * {@code y}.
   *
   * @param slope above 0
   */
  void leakyReluBackward(Buffer dy, Buffer y, Buffer dx, double slope);

  /** Gradient of {@link Backend#softmax} with output {@code y}; {@code dx} may be {@code dy}. */
  void softmaxBackward(Buffer dy, Buffer y, Buffer dx, int columns);

  /**
   * Gradients of {@link Backend#addScaled}: {@code db = gamma dy}, and adds to {@code dgamma}; the
   * gradient of {@code a} is {@code dy}. {@code db} may be {@code b}.
   */
  void addScaledBackward(Buffer dy, Buffer gamma, Buffer b, Buffer db, Buffer dgamma, int channels);

  /**
   * Gradients of {@link Backend#scaleRuns} at input {@code x}: multiplies {@code dy} in place and
   * adds to {@code dscales}.
   */
  void scaleRunsBackward(Buffer dy, Buffer x, Buffer scales, Buffer dscales, long run);

  /**
   * As {@link Backend#normalizeColumns}, and keeps what the columns were divided by.
   *
   * @param norms one for each column
   */
  void normalizeColumns(MatrixView x, Buffer norms);

  /**
   * Gradient of {@link #normalizeColumns} with output {@code y}, in place of {@code dy}.
   *
   * @param norms what the columns were divided by
   */
  void normalizeColumnsBackward(MatrixView dy, MatrixView y, Buffer norms);

  /**
   * Drops values, and scales the others; {@code y} may be {@code x}. Applied to a gradient it is
   * its own backward.
   *
   * @param first index of the first value among those that the dropout covers
   */
  void dropout(Buffer x, Buffer y, Dropout dropout, long first);

  /**
   * Drops whole channels of items; {@code y} may be {@code x}. The index of channel c of item b is
   * {@code b C + c}. Applied to a gradient it is its own backward.
   *
   * @param x (B, D, H, W, C)
   */
  void channelDropout(Buffer x, Buffer y, Dropout dropout, Grid grid, int channels);

  /**
   * Softmax over the classes, and the sums that a loss is made of. Waits for them.
   *
   * @param logits (B, K, voxels)
   * @param target class of each voxel as a number of the compute type, (B, voxels)
   * @param probabilities result, (B, K, voxels); may be {@code logits}
   */
  LossSums lossSums(Buffer logits, Buffer target, Buffer probabilities, int batch, int classes);

  /**
   * Gradient of a loss with respect to the logits, from its derivatives with respect to the sums.
   *
   * @param probabilities as {@link #lossSums} left them
   * @param dlogits (B, K, voxels); may be {@code probabilities}
   */
  void lossGradient(
      Buffer probabilities,
      Buffer target,
      LossWeights weights,
      Buffer dlogits,
      int batch,
      int classes);

  /** {@code y = x}. */
  void copy(Buffer x, Buffer y);

  /** Sets every value to 0. */
  void clear(Buffer x);

  /** Sum of the squares of all values. Waits for it. */
  double sumOfSquares(Buffer x);

  /** Updates {@code values} and {@code velocity}. */
  void sgd(Buffer values, Buffer gradients, Buffer velocity, SgdUpdate update);

  /** Updates {@code values} and both moments. */
  void adamW(Buffer values, Buffer gradients, Buffer first, Buffer second, AdamUpdate update);
}
