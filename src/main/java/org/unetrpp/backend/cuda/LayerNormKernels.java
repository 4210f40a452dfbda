package org.unetrpp.backend.cuda;

import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/layer_norm.cu}. */
final class LayerNormKernels {
  private static final String FILE = "layer_norm";
  private static final int ROWS_PER_BLOCK = 8;
  private static final int WARP = 32;
  private static final int WARPS = 8;
  private static final int BLOCKS_PER_MULTIPROCESSOR = 4;
  private static final int MOST_CHANNELS = 512;

  private final CudaContext context;

  LayerNormKernels(CudaContext context) {
    this.context = context;
  }

  void forward(Buffer x, Buffer gamma, Buffer beta, Buffer y, int channels, double epsilon) {
    long rows = x.elements() / channels;
    context.launch(
        FILE,
        CudaContext.entry("layer_norm_forward", x),
        LaunchGeometry.warpEach(rows, ROWS_PER_BLOCK),
        context.arguments(x, gamma, beta, y).longs(rows).ints(channels).floats((float) epsilon));
  }

  /**
   * {@code dx} may be {@code dy}.
   *
   * @throws IllegalArgumentException if there are more than 512 channels
   */
  void backward(
      Buffer dy,
      Buffer x,
      Buffer gamma,
      Buffer dx,
      Buffer dgamma,
      Buffer dbeta,
      int channels,
      double epsilon) {
    Lanes lanes = Lanes.of(channels, RowChunks.arePacked(channels, dy, x, dx));
    long rows = x.elements() / channels;
    int atOnce = WARPS * WARP / lanes.count();
    long most = (long) BLOCKS_PER_MULTIPROCESSOR * context.driver().device().multiprocessors();
    long chunk = Math.max(1, Math.ceilDiv(Math.ceilDiv(rows, most), atOnce)) * atOnce;
    int blocks = Math.toIntExact(Math.max(1, Math.ceilDiv(rows, chunk)));
    try (var _ = context.scopes().open()) {
      Buffer partials = context.floats(2L * blocks * channels);
      context.launch(
          FILE,
          CudaContext.entry("layer_norm_backward_" + lanes.holding(), x),
          new LaunchGeometry(blocks, 1, 1, WARP, WARPS, 1, 0),
          context
              .arguments(dy, x, gamma, dx, partials)
              .longs(rows, chunk)
              .ints(channels, lanes.count())
              .floats((float) epsilon));
      context.launch(
          FILE,
          "layer_norm_backward_parameters",
          LaunchGeometry.warpEach(2L * channels, ROWS_PER_BLOCK),
          context.arguments(partials, dgamma, dbeta).ints(blocks, channels));
    }
  }

  /**
   * The threads that share a row.
   *
   * @param count a power of two, at most a warp
   * @param holding what each of them holds, as entry points are named
   */
  private record Lanes(int count, String holding) {
    static Lanes of(int channels, boolean packed) {
      int[] sizes = packed ? new int[] {1, 2, 4} : new int[] {4, 16};
      int loads = packed ? channels / RowChunks.PACK : channels;
      for (int size : sizes) {
        if (loads <= WARP * size) {
          int count = RowChunks.lanes(Math.ceilDiv(loads, size));
          return new Lanes(count, (packed ? "packs" : "singles") + size);
        }
      }
      throw new IllegalArgumentException(
          "%d channels, expected at most %d".formatted(channels, MOST_CHANNELS));
    }
  }
}
