package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.memory.Buffer;

/** Convolutions by {@code kernels/convolution.cu}, for hosts without cuDNN and as its check. */
final class OwnConvolutions implements Convolutions {
  private static final String FILE = "convolution";

  private final CudaContext context;

  OwnConvolutions(CudaContext context) {
    this.context = context;
  }

  @Override
  public String name() {
    return "own";
  }

  @Override
  public void forward(
      Buffer x, Buffer weight, @Nullable Buffer bias, Buffer y, Grid grid, Convolution shape) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void backwardWeights(
      Buffer x, Buffer dy, Buffer dweight, @Nullable Buffer dbias, Grid grid, Convolution shape) {
    throw new UnsupportedOperationException();
  }
}
