package org.unetrpp.backend.cuda;

import org.unetrpp.backend.AdamUpdate;
import org.unetrpp.backend.SgdUpdate;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/optimizer.cu}. */
final class OptimizerKernels {
  private static final String FILE = "optimizer";

  private final CudaContext context;

  OptimizerKernels(CudaContext context) {
    this.context = context;
  }

  /** Waits for the sum. */
  double sumOfSquares(Buffer x) {
    throw new UnsupportedOperationException();
  }

  void sgd(Buffer values, Buffer gradients, Buffer velocity, SgdUpdate update) {
    throw new UnsupportedOperationException();
  }

  void adamW(Buffer values, Buffer gradients, Buffer first, Buffer second, AdamUpdate update) {
    throw new UnsupportedOperationException();
  }
}
