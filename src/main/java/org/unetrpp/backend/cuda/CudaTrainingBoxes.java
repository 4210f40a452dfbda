package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.Pullback;
import org.unetrpp.memory.Buffer;

/**
 * The boxes in training mode, with kernels of its own for the head and, where those take its sizes,
 * for attention; normalization, residual and LeakyReLU are one pass.
 */
final class CudaTrainingBoxes extends ComposedTrainingBoxes {
  private final CudaBackend cuda;
  private final PairedAttentionKernels attention;

  CudaTrainingBoxes(CudaBackend cuda) {
    this(cuda, cuda);
  }

  /**
   * With primitives of another backend.
   *
   * @param backend on the memory of {@code cuda}
   */
  CudaTrainingBoxes(CudaBackend cuda, Backend backend) {
    super(backend);
    this.cuda = cuda;
    attention = new PairedAttentionKernels(cuda.context());
  }

  @Override
  public Pullback<PairedAttentionParameters> pairedAttention(
      Buffer x,
      PairedAttentionParameters p,
      Dropout channelMaps,
      Dropout spatialMaps,
      Buffer y,
      int batch) {
    return PairedAttentionKernels.take(p)
        ? attention.training(x, p, channelMaps, spatialMaps, y, batch)
        : super.pairedAttention(x, p, channelMaps, spatialMaps, y, batch);
  }

  @Override
  public Pullback<HeadParameters> head(Buffer x, HeadParameters p, Buffer y, Grid grid) {
    HeadKernels head = cuda.head();
    head.forward(x, p, HeadOutput.LOGITS, y, grid);
    return (dy, gradients, dx) -> {
      head.backwardWeights(x, dy, gradients, grid);
      if (dx != null) {
        head.backwardData(dy, p, dx, grid);
      }
    };
  }

  @Override
  protected void normalize(
      Buffer h,
      ChannelNorm norm,
      boolean moves,
      @Nullable Buffer residual,
      double slope,
      Buffer y,
      Grid grid,
      int channels) {
    double epsilon = ChannelNorm.EPSILON;
    switch (norm) {
      case ChannelNorm.Instance() ->
          cuda.groupNorm()
              .forwardResidual(
                  h, null, null, residual, slope, y, grid, channels, channels, epsilon);
      case ChannelNorm.Batch batch when moves ->
          cuda.batchNorm()
              .forwardTraining(h, batch, MOMENTUM, residual, slope, y, channels, epsilon);
      case ChannelNorm.Batch batch ->
          cuda.groupNorm()
              .forwardResidual(
                  h,
                  batch.gamma(),
                  batch.beta(),
                  residual,
                  slope,
                  y,
                  asOneItem(grid),
                  channels,
                  channels,
                  epsilon);
    }
  }
}
