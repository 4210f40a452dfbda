package org.unetrpp.backend.cuda;

import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.Pullback;
import org.unetrpp.memory.Buffer;

/**
 * The boxes in training mode, with kernels of its own for the head and, where those take its sizes,
 * for attention.
 */
final class CudaTrainingBoxes extends ComposedTrainingBoxes {
  private final HeadKernels head;
  private final PairedAttentionKernels attention;

  CudaTrainingBoxes(CudaBackend backend) {
    super(backend);
    head = backend.head();
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

  @Override
  public Pullback<HeadParameters> head(Buffer x, HeadParameters p, Buffer y, Grid grid) {
    head.forward(x, p, HeadOutput.LOGITS, y, grid);
    return (dy, gradients, dx) -> {
      head.backwardWeights(x, dy, gradients, grid);
      if (dx != null) {
        head.backwardData(dy, p, dx, grid);
      }
    };
  }
}
