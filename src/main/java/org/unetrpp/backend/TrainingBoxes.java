package org.unetrpp.backend;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * The boxes of {@link Boxes} in training mode: with dropout, and batch normalization by the
 * statistics of the batch, which also moves the running ones. Each returns its gradient. What a box
 * keeps for it lies in the memory scope that is innermost when the box runs; what is cheap is
 * computed again instead.
 *
 * <p>The gradient of a {@code skip} is the gradient of the output.
 */
public interface TrainingBoxes {
  /** Share of the batch's statistics in the running ones. */
  double MOMENTUM = 0.1;

  /** As {@link Boxes#patchEmbedding}. */
  Pullback<PatchEmbeddingParameters> patchEmbedding(
      Buffer x, PatchEmbeddingParameters parameters, Buffer y, Grid grid);

  /**
   * As {@link Boxes#pairedAttention}, with dropout of the attention maps. The index of a value of
   * item b is {@code ((b h + head) d + row) d + column} in channel maps, and {@code ((b h + head) N
   * + token) P + projected} in spatial maps.
   */
  Pullback<PairedAttentionParameters> pairedAttention(
      Buffer x,
      PairedAttentionParameters parameters,
      Dropout channelMaps,
      Dropout spatialMaps,
      Buffer y,
      int batch);

  /**
   * As {@link Boxes#residualBlock}, with dropout of the channels before the tail.
   *
   * @param dropout of the tail's input
   */
  Pullback<ResidualBlockParameters> residualBlock(
      Buffer x,
      ResidualBlockParameters parameters,
      @Nullable Buffer skip,
      Dropout dropout,
      Buffer y,
      Grid grid);

  /** As {@link Boxes#upsample}. */
  Pullback<UpsampleParameters> upsample(
      Buffer x, UpsampleParameters parameters, Buffer skip, Buffer y, Grid grid);

  /** As {@link Boxes#head}, giving logits. */
  Pullback<HeadParameters> head(Buffer x, HeadParameters parameters, Buffer y, Grid grid);
}
