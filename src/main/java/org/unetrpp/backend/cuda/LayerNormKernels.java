package org.unetrpp.backend.cuda;

import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/layer_norm.cu}. */
final class LayerNormKernels {
  private static final String FILE = "layer_norm";
  private static final int ROWS_PER_BLOCK = 8;

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
        context
            .arguments(x, gamma, beta, y)
            .longs(rows)
            .ints(channels)
            .floats((float) epsilon));
  }

  void backward(
      Buffer dy,
      Buffer x,
      Buffer gamma,
      Buffer dx,
      Buffer dgamma,
      Buffer dbeta,
      int channels,
      double epsilon) {
    throw new UnsupportedOperationException();
  }
}
