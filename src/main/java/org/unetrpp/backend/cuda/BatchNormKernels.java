package org.unetrpp.backend.cuda;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Launches {@code kernels/batch_norm.cu}. */
final class BatchNormKernels {
  private static final String FILE = "batch_norm";
  private static final int CHANNELS_PER_BLOCK = 8;
  private static final int FOLD_THREADS = 256;

  private final CudaContext context;
  private final GroupNormKernels groupNorm;
  private final MomentKernels moments;

  BatchNormKernels(CudaContext context, GroupNormKernels groupNorm) {
    this.context = context;
    this.groupNorm = groupNorm;
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
    RowChunks chunks = chunks(x, channels, x, residual, y);
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

  /**
   * {@code y = leakyRelu(norm(x) + residual)} with the statistics of {@code x}, towards which the
   * running ones move; {@code y} may be {@code x} or {@code residual}.
   *
   * @param residual as {@code x}, or none
   * @param slope of the LeakyReLU below zero; 1 for none
   */
  void forwardTraining(
      Buffer x,
      ChannelNorm.Batch norm,
      double momentum,
      @Nullable Buffer residual,
      double slope,
      Buffer y,
      int channels,
      double epsilon) {
    RowChunks chunks = chunks(x, channels, x, residual, y);
    try (var _ = context.scopes().open()) {
      Buffer partials = moments.partials(x, chunks);
      update(partials, chunks, norm, momentum);
      groupNorm.forwardOfMoments(
          x,
          partials,
          chunks,
          norm.gamma(),
          norm.beta(),
          residual,
          slope,
          y,
          channels,
          channels,
          epsilon);
    }
  }

  /**
   * A convolution that has the normalization behind it in its weights.
   *
   * @param weight as that of the convolution
   * @param bias (Cout)
   */
  record Folded(Buffer weight, Buffer bias) {}

  /** Weights (Cout, Cin, kD, kH, kW) with a norm of given statistics, made anew as they change. */
  Folded folded(Buffer weight, ChannelNorm.Batch norm, double epsilon) {
    long values = weight.elements();
    long channels = norm.gamma().elements();
    Buffer folded =
        new Buffer(
            context
                .packs()
                .get(
                    "with the norm behind",
                    List.of(weight, norm.gamma(), norm.beta(), norm.mean(), norm.variance()),
                    (values + channels) * Float.BYTES,
                    address -> fold(weight, norm, address, epsilon)),
            DType.FLOAT32,
            values + channels);
    return new Folded(folded.slice(0, values), folded.slice(values, channels));
  }

  private void fold(Buffer weight, ChannelNorm.Batch norm, long folded, double epsilon) {
    long values = weight.elements();
    long channels = norm.gamma().elements();
    context.launch(
        FILE,
        "batch_norm_fold",
        LaunchGeometry.threadEach(values + channels, FOLD_THREADS),
        context
            .arguments(weight, norm.gamma(), norm.beta(), norm.mean(), norm.variance())
            .longs(folded, values)
            .ints(Math.toIntExact(channels))
            .floats((float) epsilon));
  }

  void updateStatistics(Buffer x, ChannelNorm.Batch norm, int channels, double momentum) {
    RowChunks chunks = chunks(x, channels, x);
    try (var _ = context.scopes().open()) {
      update(moments.partials(x, chunks), chunks, norm, momentum);
    }
  }

  private void update(Buffer partials, RowChunks chunks, ChannelNorm.Batch norm, double momentum) {
    context.launch(
        FILE,
        "batch_norm_update",
        LaunchGeometry.warpEach(chunks.columns(), CHANNELS_PER_BLOCK),
        context
            .arguments(partials, norm.mean(), norm.variance())
            .longs(chunks.rows())
            .ints(chunks.size(), chunks.count(), chunks.columns())
            .floats((float) momentum));
    context.packs().invalidate(norm.mean().address(), norm.mean().bytes());
    context.packs().invalidate(norm.variance().address(), norm.variance().bytes());
  }

  /** All of {@code x} as one item. */
  private RowChunks chunks(Buffer x, int channels, @Nullable Buffer... buffers) {
    boolean packed = RowChunks.arePacked(channels, buffers);
    return RowChunks.of(context, 1, x.elements() / channels, channels, packed);
  }
}
