package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.memory.Buffer;

/**
 * The boxes with attention as kernels of its own, where those take its sizes, and with what follows
 * a convolution in the passes that have to be: normalization, residual and LeakyReLU are one. The
 * probe is shown none of the steps.
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
  public void residualBlock(
      Buffer x, ResidualBlockParameters p, @Nullable Buffer skip, Buffer y, Grid grid) {
    ResidualBlockParameters.Tail tail = p.tail();
    if (tail == null) {
      residual(x, p, y, grid);
      return;
    }
    if (skip == null) {
      throw new IllegalArgumentException(p.name() + " has a tail but nothing to add it to");
    }
    int channels = p.outChannels();
    try (var _ = backend.scopes().open()) {
      Buffer z = like(y);
      residual(x, p, z, grid);
      Convolution pointwise = Convolution.pointwise(channels, channels);
      backend.convolution(z, tail.weight(), tail.bias(), y, grid, pointwise);
      backend.add(y, skip, y);
    }
  }

  private void residual(Buffer x, ResidualBlockParameters p, Buffer y, Grid grid) {
    int in = p.inChannels();
    int out = p.outChannels();
    try (var _ = backend.scopes().open()) {
      Buffer hidden = like(y);
      backend.convolution(x, p.weight1(), null, hidden, grid, Convolution.same3(in, out));
      normalize(hidden, p.norm1(), null, ResidualBlockParameters.SLOPE, hidden, grid, out);
      backend.convolution(hidden, p.weight2(), null, y, grid, Convolution.same3(out, out));
      Buffer residual = x;
      if (p.shortcut() != null) {
        residual = hidden; // no longer needed
        backend.convolution(x, p.shortcut(), null, residual, grid, Convolution.pointwise(in, out));
        normalize(residual, p.norm2(), null, 1, residual, grid, out);
      }
      normalize(y, p.norm2(), residual, ResidualBlockParameters.SLOPE, y, grid, out);
    }
  }

  /** {@code y = leakyRelu(norm(x) + residual)}. */
  private void normalize(
      Buffer x,
      ChannelNorm norm,
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
                  x, null, null, residual, slope, y, grid, channels, channels, epsilon);
      case ChannelNorm.Batch batch ->
          cuda.batchNorm().forwardResidual(x, batch, residual, slope, y, channels, epsilon);
    }
  }

  @Override
  public void upsample(Buffer x, UpsampleParameters p, Buffer skip, Buffer y, Grid grid) {
    Convolution shape = Convolution.patches(p.inChannels(), p.outChannels(), p.stride());
    cuda.transposedConvolution().forward(x, p.weight(), skip, y, grid, shape);
  }

  private Buffer like(Buffer buffer) {
    return backend.scopes().allocate(backend.computeType(), buffer.elements());
  }
}
