package org.unetrpp.backend;

import org.jspecify.annotations.Nullable;
import org.unetrpp.memory.Buffer;

/**
 * The boxes of the paper's figure (Shaker et al. 2024, figure 2) on one device, in evaluation mode.
 * {@link ComposedBoxes} builds each from primitives; a backend overrides those that it can fuse.
 * Outputs never overlap inputs.
 */
public interface Boxes {
  /**
   * Strided convolution, then group normalization.
   *
   * @param x (B, D, H, W, Cin)
   * @param y (B, D / kD, H / kH, W / kW, Cout)
   * @param grid of {@code x}
   */
  void patchEmbedding(Buffer x, PatchEmbeddingParameters parameters, Buffer y, Grid grid);

  /**
   * {@code t = x + positions; y = t + gamma EPA(LayerNorm(t))} (Shaker et al. 2024, eq. 1 to 4).
   *
   * @param x tokens, (B, N, C)
   * @param y (B, N, C)
   * @param batch B
   */
  void pairedAttention(Buffer x, PairedAttentionParameters parameters, Buffer y, int batch);

  /**
   * A patch embedding and the paired attention of the block behind it.
   *
   * @param x (B, D, H, W, Cin)
   * @param y tokens, (B, N, C)
   * @param grid of {@code x}
   */
  void embeddedAttention(
      Buffer x,
      PatchEmbeddingParameters embedding,
      PairedAttentionParameters attention,
      Buffer y,
      Grid grid);

  /**
   * Residual convolution block, with the tail {@code y = skip + W z + b} where the parameters have
   * one.
   *
   * @param x (B, D, H, W, Cin)
   * @param skip what the tail adds to, (B, D, H, W, Cout); none without a tail
   * @param y (B, D, H, W, Cout)
   */
  void residualBlock(
      Buffer x, ResidualBlockParameters parameters, @Nullable Buffer skip, Buffer y, Grid grid);

  /**
   * Transposed convolution plus the encoder's features of the same size.
   *
   * @param x (B, D, H, W, Cin)
   * @param skip (B, D kD, H kH, W kW, Cout)
   * @param y (B, D kD, H kH, W kW, Cout)
   * @param grid of {@code x}
   */
  void upsample(Buffer x, UpsampleParameters parameters, Buffer skip, Buffer y, Grid grid);

  /**
   * Classes of each voxel.
   *
   * @param x (B, D, H, W, Cin)
   * @param y (B, K, D, H, W): classes first, as the public interface has them
   */
  void head(Buffer x, HeadParameters parameters, HeadOutput output, Buffer y, Grid grid);

  /**
   * Begins the path at full resolution with what needs only the image. It may be computed beside
   * what is called before the path is finished; {@code x} and the innermost scope must live that
   * long.
   *
   * @param x (B, D, H, W, C)
   */
  FullResolution fullResolution(Buffer x, FullResolutionParameters parameters, Grid grid);
}
