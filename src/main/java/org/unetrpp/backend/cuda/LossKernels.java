package org.unetrpp.backend.cuda;

import org.unetrpp.backend.LossSums;
import org.unetrpp.backend.LossWeights;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/loss.cu}. */
final class LossKernels {
  private static final String FILE = "loss";

  private final CudaContext context;

  LossKernels(CudaContext context) {
    this.context = context;
  }

  /** Waits for the sums. */
  LossSums sums(Buffer logits, Buffer target, Buffer probabilities, int batch, int classes) {
    throw new UnsupportedOperationException();
  }

  void gradient(
      Buffer probabilities,
      Buffer target,
      LossWeights weights,
      Buffer dlogits,
      int batch,
      int classes) {
    throw new UnsupportedOperationException();
  }
}
