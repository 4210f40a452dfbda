package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/group_norm.cu}. */
final class GroupNormKernels {
  private static final String FILE = "group_norm";
  private static final int WARP = 32;
  private static final int MOST_WARPS = 8;

  private final CudaContext context;
  private final MomentKernels moments;

  GroupNormKernels(CudaContext context) {
    this.context = context;
    moments = new MomentKernels(context);
  }

  void forward(
      Buffer x,
      @Nullable Buffer gamma,
      @Nullable Buffer beta,
      Buffer y,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    forwardResidual(x, gamma, beta, null, 1, y, grid, channels, groups, epsilon);
  }

  /**
   * {@code y = leakyRelu(norm(x) + residual)}; {@code y} may be {@code x} or {@code residual}.
   *
   * @param residual as {@code x}, or none
   * @param slope of the LeakyReLU below zero; 1 for none
   */
  void forwardResidual(
      Buffer x,
      @Nullable Buffer gamma,
      @Nullable Buffer beta,
      @Nullable Buffer residual,
      double slope,
      Buffer y,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    RowChunks chunks = chunks(grid, channels, x, residual, y);
    try (var _ = context.scopes().open()) {
      Buffer partials = moments.partials(x, chunks);
      forwardOfMoments(
          x, partials, chunks, gamma, beta, residual, slope, y, channels, groups, epsilon);
    }
  }

  /**
   * As {@link #forwardResidual}, of moments that were taken before.
   *
   * @param partials of the chunks of {@code x}
   * @param chunks of {@code x}, {@code residual} and {@code y}
   */
  void forwardOfMoments(
      Buffer x,
      Buffer partials,
      RowChunks chunks,
      @Nullable Buffer gamma,
      @Nullable Buffer beta,
      @Nullable Buffer residual,
      double slope,
      Buffer y,
      int channels,
      int groups,
      double epsilon) {
    try (var _ = context.scopes().open()) {
      Buffer coefficients = coefficients(chunks.items(), channels);
      measure(partials, chunks, new GroupStatistics(coefficients, gamma, groups, epsilon));
      apply(x, coefficients, chunks, beta, residual, null, slope, y);
    }
  }

  /** Room for the coefficients of {@link GroupStatistics}, in the innermost scope. */
  Buffer coefficients(int items, int channels) {
    return context.floats(2L * items * channels);
  }

  /** Takes the statistics of {@code x}. */
  void measure(Buffer x, GroupStatistics statistics, Grid grid, int channels) {
    RowChunks chunks = chunks(grid, channels, x);
    try (var _ = context.scopes().open()) {
      measure(moments.partials(x, chunks), chunks, statistics);
    }
  }

  private void measure(Buffer partials, RowChunks chunks, GroupStatistics statistics) {
    int channels = chunks.columns();
    int groups = statistics.groups();
    context.launch(
        FILE,
        "group_norm_coefficients",
        groupGeometry(groups, chunks.items(), channels),
        context
            .arguments(partials, statistics.gamma(), statistics.coefficients())
            .longs(chunks.rows())
            .ints(chunks.size(), chunks.count(), channels, channels / groups)
            .floats((float) statistics.epsilon()));
  }

  /**
   * {@code y = leakyRelu(norm(x) + residual)} with the coefficients of statistics taken before.
   *
   * @param residualCoefficients if the residual is normalized as well, without a shift
   */
  void apply(
      Buffer x,
      Buffer coefficients,
      @Nullable Buffer beta,
      @Nullable Buffer residual,
      @Nullable Buffer residualCoefficients,
      double slope,
      Buffer y,
      Grid grid,
      int channels) {
    RowChunks chunks = chunks(grid, channels, x, residual, y);
    apply(x, coefficients, chunks, beta, residual, residualCoefficients, slope, y);
  }

  private void apply(
      Buffer x,
      Buffer coefficients,
      RowChunks chunks,
      @Nullable Buffer beta,
      @Nullable Buffer residual,
      @Nullable Buffer residualCoefficients,
      double slope,
      Buffer y) {
    context.launch(
        FILE,
        CudaContext.entry("group_norm_forward", x),
        chunks.geometry(),
        context
            .arguments(x, coefficients, beta, residual, residualCoefficients, y)
            .longs(chunks.rows())
            .ints(chunks.size(), chunks.columns(), chunks.packs())
            .floats((float) slope));
  }

  void backward(
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
    int items = grid.batch();
    RowChunks chunks = chunks(grid, channels, dy, x, dx);
    try (var _ = context.scopes().open()) {
      Buffer partials = context.floats(4L * items * chunks.count() * channels);
      context.launch(
          FILE,
          CudaContext.entry("group_norm_comoments", x),
          chunks.geometry(),
          context
              .arguments(dy, x, partials)
              .longs(chunks.rows())
              .ints(chunks.size(), channels, chunks.packs()));
      Buffer coefficients = context.floats(4L * items * channels);
      boolean sumsOverItems = dgamma != null || dbeta != null;
      context.launch(
          FILE,
          "group_norm_backward_coefficients",
          groupGeometry(groups, sumsOverItems ? 1 : items, channels),
          context
              .arguments(partials, gamma, coefficients, dgamma, dbeta)
              .ints(items)
              .longs(chunks.rows())
              .ints(chunks.size(), chunks.count(), channels, channels / groups)
              .floats((float) epsilon));
      context.launch(
          FILE,
          CudaContext.entry("group_norm_backward", x),
          chunks.geometry(),
          context
              .arguments(dy, x, coefficients, dx)
              .longs(chunks.rows())
              .ints(chunks.size(), channels, chunks.packs()));
    }
  }

  private RowChunks chunks(Grid grid, int channels, @Nullable Buffer... buffers) {
    boolean packed = RowChunks.arePacked(channels, buffers);
    return RowChunks.of(context, grid.batch(), grid.tokens(), channels, packed);
  }

  /** A block for each group of each item, with a warp for each channel of the group. */
  private static LaunchGeometry groupGeometry(int groups, int items, int channels) {
    int warps = Math.min(channels / groups, MOST_WARPS);
    return new LaunchGeometry(groups, items, 1, WARP, warps, 1, 0);
  }
}
