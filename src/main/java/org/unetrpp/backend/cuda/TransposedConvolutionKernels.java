package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/transposed_convolution.cu}. */
final class TransposedConvolutionKernels {
  private static final String FILE = "transposed_convolution";

  private final CudaContext context;

  TransposedConvolutionKernels(CudaContext context) {
    this.context = context;
  }

  /** With {@code skip}, (B, D kD, H kH, W kW, Cout), added where there is one. */
  void forward(
      Buffer x, Buffer weight, @Nullable Buffer skip, Buffer y, Grid grid, Convolution shape) {
    throw new UnsupportedOperationException();
  }

  void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    throw new UnsupportedOperationException();
  }

  void backwardWeights(Buffer x, Buffer dy, Buffer dweight, Grid grid, Convolution shape) {
    throw new UnsupportedOperationException();
  }
}
