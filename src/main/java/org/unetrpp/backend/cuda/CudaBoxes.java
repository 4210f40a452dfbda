package org.unetrpp.backend.cuda;

import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.memory.Buffer;

/**
 * The boxes with attention as kernels of its own, where those take its sizes. The probe is shown
 * none of their steps.
 */
final class CudaBoxes extends ComposedBoxes {
  private final PairedAttentionKernels attention;

  CudaBoxes(CudaBackend backend) {
    super(backend);
    attention = new PairedAttentionKernels(backend.context());
  }

  @Override
  public void pairedAttention(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
    if (PairedAttentionKernels.take(p)) {
      attention.forward(x, p, y, batch);
    } else {
      super.pairedAttention(x, p, y, batch);
    }
  }
}
