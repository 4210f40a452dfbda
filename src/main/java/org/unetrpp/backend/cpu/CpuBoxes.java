package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ComposedBoxes;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * The boxes with their steps joined: what follows a convolution is done while its slab is in the
 * cache, normalizations with given statistics are part of the weights, and attention goes without
 * queries, keys and values where that is less work. The probe is shown none of the steps.
 */
final class CpuBoxes extends ComposedBoxes {
  private final CpuBackend cpu;
  private final CpuContext context;

  CpuBoxes(CpuBackend backend) {
    super(backend);
    cpu = backend;
    context = backend.context();
  }

  @Override
  public void patchEmbedding(Buffer x, PatchEmbeddingParameters p, Buffer y, Grid grid) {
    cpu.perform(new PatchEmbedding(cpu, x, p, y, grid));
  }

  @Override
  public void pairedAttention(Buffer x, PairedAttentionParameters p, Buffer y, int batch) {
    PairedAttention plan = PairedAttention.of(context, p, batch);
    try (var _ = cpu.scopes().open()) {
      Buffer temporary = cpu.scopes().allocate(DType.FLOAT32, plan.temporaryElements());
      cpu.perform(() -> plan.run(x, temporary, y));
    }
  }

  @Override
  public void residualBlock(
      Buffer x, ResidualBlockParameters p, @Nullable Buffer skip, Buffer y, Grid grid) {
    if (p.norm1() instanceof ChannelNorm.Batch norm1
        && p.norm2() instanceof ChannelNorm.Batch norm2
        && p.shortcut() == null
        && (p.tail() == null || skip != null)) {
      try (var _ = cpu.scopes().open()) {
        Buffer hidden = cpu.scopes().allocate(DType.FLOAT32, y.elements());
        cpu.perform(new BatchNormBlock(cpu, x, p, norm1, norm2, skip, hidden, y, grid));
      }
    } else if (p.norm1() instanceof ChannelNorm.Instance
        && p.norm2() instanceof ChannelNorm.Instance
        && p.tail() == null) {
      try (var _ = cpu.scopes().open()) {
        Buffer hidden = cpu.scopes().allocate(DType.FLOAT32, y.elements());
        cpu.perform(new InstanceBlock(cpu, x, p, hidden, y, grid));
      }
    } else {
      super.residualBlock(x, p, skip, y, grid);
    }
  }

  @Override
  public void upsample(Buffer x, UpsampleParameters p, Buffer skip, Buffer y, Grid grid) {
    TransposedConvolution plan = TransposedConvolution.of(context, p, grid);
    cpu.perform(() -> plan.run(x, skip, y));
  }

  @Override
  public void head(Buffer x, HeadParameters p, HeadOutput output, Buffer y, Grid grid) {
    Head plan = Head.of(context, p, output, grid);
    cpu.perform(() -> plan.run(x, y));
  }
}
