package org.unetrpp.backend.cuda;

import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.Pullback;
import org.unetrpp.memory.Buffer;

/** The boxes in training mode, with attention as kernels of its own, where those take its sizes. */
final class CudaTrainingBoxes extends ComposedTrainingBoxes {
  private final PairedAttentionKernels attention;

  CudaTrainingBoxes(CudaBackend backend) {
    super(backend);
    attention = new PairedAttentionKernels(backend.context());
  }

  @Override
  public Pullback<PairedAttentionParameters> pairedAttention(
      Buffer x,
      PairedAttentionParameters p,
      Dropout channelMaps,
      Dropout spatialMaps,
      Buffer y,
      int batch) {
    return PairedAttentionKernels.take(p)
        ? attention.training(x, p, channelMaps, spatialMaps, y, batch)
        : super.pairedAttention(x, p, channelMaps, spatialMaps, y, batch);
  }
}
