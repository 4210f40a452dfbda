package org.unetrpp.backend.cpu;

import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.Pullback;
import org.unetrpp.memory.Buffer;

/** The boxes in training mode with their steps joined where that saves passes over memory. */
final class CpuTrainingBoxes extends ComposedTrainingBoxes {
  private final AttentionTraining attention;

  CpuTrainingBoxes(CpuBackend backend) {
    super(backend);
    attention = new AttentionTraining(backend);
  }

  @Override
  public Pullback<PairedAttentionParameters> pairedAttention(
      Buffer x,
      PairedAttentionParameters p,
      Dropout channelMaps,
      Dropout spatialMaps,
      Buffer y,
      int batch) {
    if (!AttentionTraining.pays(p)) {
      return super.pairedAttention(x, p, channelMaps, spatialMaps, y, batch);
    }
    return attention.run(x, p, channelMaps, spatialMaps, y, batch);
  }
}
