package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Grid;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/group_norm.cu}. */
final class GroupNormKernels {
  private static final String FILE = "group_norm";

  private final CudaContext context;

  GroupNormKernels(CudaContext context) {
    this.context = context;
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
    throw new UnsupportedOperationException();
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
    throw new UnsupportedOperationException();
  }
}
