package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/batch_norm.cu}. */
final class BatchNormKernels {
  private static final String FILE = "batch_norm";
  private static final int CHANNELS_PER_BLOCK = 8;

  private final CudaContext context;
  private final MomentKernels moments;

  BatchNormKernels(CudaContext context) {
    this.context = context;
    moments = new MomentKernels(context);
  }

  /** With given statistics. */
  void forward(Buffer x, ChannelNorm.Batch norm, Buffer y, int channels, double epsilon) {
    forwardResidual(x, norm, null, 1, y, channels, epsilon);
  }

  /**
   * {@code y = leakyRelu(norm(x) + residual)} with given statistics; {@code y} may be {@code x} or
   * {@code residual}.
   *
   * @param residual as {@code x}, or none
   * @param slope of the LeakyReLU below zero; 1 for none
   */
  void forwardResidual(
      Buffer x,
      ChannelNorm.Batch norm,
      @Nullable Buffer residual,
      double slope,
      Buffer y,
      int channels,
      double epsilon) {
    RowChunks chunks =
        RowChunks.of(
            context,
            1,
            x.elements() / channels,
            channels,
            RowChunks.arePacked(channels, x, residual, y));
    context.launch(
        FILE,
        CudaContext.entry("batch_norm_forward", x),
        chunks.geometry(),
        context
            .arguments(x, norm.gamma(), norm.beta(), norm.mean(), norm.variance(), residual, y)
            .longs(chunks.rows())
            .ints(chunks.size(), channels, chunks.packs())
            .floats((float) epsilon, (float) slope));
  }

  void updateStatistics(Buffer x, ChannelNorm.Batch norm, int channels, double momentum) {
    long rows = x.elements() / channels;
    RowChunks chunks = RowChunks.of(context, 1, rows, channels, RowChunks.arePacked(channels, x));
    try (var _ = context.scopes().open()) {
      Buffer partials = moments.partials(x, chunks);
      context.launch(
          FILE,
          "batch_norm_update",
          LaunchGeometry.warpEach(channels, CHANNELS_PER_BLOCK),
          context
              .arguments(partials, norm.mean(), norm.variance())
              .longs(rows)
              .ints(chunks.size(), chunks.count(), channels)
              .floats((float) momentum));
    }
  }
}
