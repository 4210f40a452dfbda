package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.memory.Buffer;

/**
 * The boxes with attention as kernels of its own, where those take its sizes, and with what follows
 * a convolution in the passes that have to be: normalization, residual and LeakyReLU are one, a
 * skip is added and classes come first where they are written. The probe is shown what exists.
 */
final class CudaBoxes extends ComposedBoxes {
  private final CudaBackend cuda;
  private final PairedAttentionKernels attention;

  CudaBoxes(CudaBackend cuda) {
    super(cuda);
    this.cuda = cuda;
    attention = new PairedAttentionKernels(cuda.context());
  }

  @Override
  public void pairedAttention(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
    if (PairedAttentionKernels.take(p)) {
      attention.forward(x, p, y, batch);
    } else {
      super.pairedAttention(x, p, y, batch);
    }
  }

  @Override
  protected void normalize(
      String name,
      Buffer y,
      ChannelNorm norm,
      @Nullable Buffer residual,
      double slope,
      Grid grid,
      int channels) {
    double epsilon = ChannelNorm.EPSILON;
    switch (norm) {
      case ChannelNorm.Instance() ->
          cuda.groupNorm()
              .forwardResidual(
                  y, null, null, residual, slope, y, grid, channels, channels, epsilon);
      case ChannelNorm.Batch batch ->
          cuda.batchNorm().forwardResidual(y, batch, residual, slope, y, channels, epsilon);
    }
    if (residual == null && slope == 1) {
      show(name, y, channels);
    }
  }

  @Override
  public void upsample(Buffer x, UpsampleParameters p, Buffer skip, Buffer y, Grid grid) {
    Convolution shape = Convolution.patches(p.inChannels(), p.outChannels(), p.stride());
    cuda.transposedConvolution().forward(x, p.weight(), skip, y, grid, shape);
  }

  @Override
  public void head(Buffer x, HeadParameters p, HeadOutput output, Buffer y, Grid grid) {
    cuda.head().forward(x, p, output, y, grid);
  }
}
