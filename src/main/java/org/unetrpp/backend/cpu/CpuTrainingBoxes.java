package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedTrainingBoxes;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.Pullback;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.memory.Buffer;

/** The boxes in training mode with their steps joined where that saves passes over memory. */
final class CpuTrainingBoxes extends ComposedTrainingBoxes {
  private final CpuBackend cpu;
  private final AttentionTraining attention;
  private final ResidualTraining residual;
  private final HeadGradient headGradient;

  CpuTrainingBoxes(CpuBackend backend) {
    super(backend);
    cpu = backend;
    attention = new AttentionTraining(backend);
    residual = new ResidualTraining(backend);
    headGradient = new HeadGradient(backend);
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

  @Override
  public Pullback<ResidualBlockParameters> residualBlock(
      Buffer x,
      ResidualBlockParameters p,
      @Nullable Buffer skip,
      Dropout dropout,
      Buffer y,
      Grid grid) {
    if (p.shortcut() != null && !(p.norm2() instanceof ChannelNorm.Instance)) {
      return super.residualBlock(x, p, skip, dropout, y, grid);
    }
    return residual.run(x, p, skip, dropout, y, grid);
  }

  @Override
  public Pullback<HeadParameters> head(Buffer x, HeadParameters p, Buffer y, Grid grid) {
    cpu.boxes().head(x, p, HeadOutput.LOGITS, y, grid);
    return (dy, gradients, dx) -> headGradient.run(x, p, dy, gradients, dx, grid);
  }
}
