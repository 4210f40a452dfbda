package org.unetrpp.ops;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * The boxes of the paper's figure (Shaker et al. 2024, figure 2) as functions of tensors, in
 * evaluation mode: check, allocate, call the backend.
 */
public final class NetworkBoxes {
  private NetworkBoxes() {}

  /**
   * Puts the channels last.
   *
   * @param image (B, C, D, H, W)
   * @return (B, D, H, W, C)
   * @throws IllegalArgumentException if the image does not have five axes
   */
  public static Tensor channelsLast(Tensor image) {
    Shape shape = image.shape();
    if (shape.rank() != 5) {
      throw new IllegalArgumentException(
          "image has shape %s, expected (B, C, D, H, W)".formatted(shape));
    }
    Extents extents = new Extents(shape.extent(2), shape.extent(3), shape.extent(4));
    Grid grid = new Grid(shape.extent(0), extents);
    Tensor y = activations(image, grid, shape.extent(1));
    image.backend().channelsLast(image.buffer(), y.buffer(), grid, shape.extent(1));
    return y;
  }

  /**
   * Strided convolution, then group normalization.
   *
   * @param x (B, D, H, W, Cin)
   * @return (B, D / kD, H / kH, W / kW, Cout)
   * @throws IllegalArgumentException if the stride does not divide the extents, or the channels are
   *     others
   */
  public static Tensor patchEmbedding(Tensor x, PatchEmbeddingParameters parameters) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.convolution().inChannels());
    Extents stride = parameters.convolution().stride();
    if (!grid.extents().divisibleBy(stride)) {
      throw new IllegalArgumentException(
          "%s: %s voxels are no multiple of the stride %s"
              .formatted(parameters.name(), grid.extents(), stride));
    }
    Tensor y = activations(x, grid.dividedBy(stride), parameters.convolution().outChannels());
    x.backend().boxes().patchEmbedding(x.buffer(), parameters, y.buffer(), grid);
    return y;
  }

  /**
   * Positions, layer normalization, efficient paired attention, scale and residual (eq. 1 to 4).
   *
   * @param x (B, D, H, W, C) with D H W tokens
   * @return of the shape of {@code x}
   * @throws IllegalArgumentException if the tokens or channels are not those of the parameters
   */
  public static Tensor pairedAttention(Tensor x, PairedAttentionParameters parameters) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.channels());
    if (grid.tokens() != parameters.tokens()) {
      throw new IllegalArgumentException(
          "%s: %d tokens, expected %d"
              .formatted(parameters.name(), grid.tokens(), parameters.tokens()));
    }
    Tensor y = x.like();
    x.backend().boxes().pairedAttention(x.buffer(), parameters, y.buffer(), grid.batch());
    return y;
  }

  /**
   * Residual convolution block, and {@code skip + W z + b} if the parameters have a tail.
   *
   * @param x (B, D, H, W, Cin)
   * @param skip (B, D, H, W, Cout), or none without a tail
   * @return (B, D, H, W, Cout)
   * @throws IllegalArgumentException if the channels are not those of the parameters
   */
  public static Tensor residualBlock(
      Tensor x, ResidualBlockParameters parameters, @Nullable Tensor skip) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.inChannels());
    Tensor y = activations(x, grid, parameters.outChannels());
    if (skip != null) {
      Shape.require("skip", skip.shape(), y.shape());
    }
    x.backend()
        .boxes()
        .residualBlock(
            x.buffer(), parameters, skip == null ? null : skip.buffer(), y.buffer(), grid);
    return y;
  }

  /**
   * Transposed convolution plus the encoder's features.
   *
   * @param x (B, D, H, W, Cin)
   * @param skip (B, D kD, H kH, W kW, Cout)
   * @return of the shape of {@code skip}
   * @throws IllegalArgumentException if the shapes do not fit the parameters
   */
  public static Tensor upsample(Tensor x, UpsampleParameters parameters, Tensor skip) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.inChannels());
    Tensor y = activations(x, grid.times(parameters.stride()), parameters.outChannels());
    Shape.require("skip", skip.shape(), y.shape());
    x.backend().boxes().upsample(x.buffer(), parameters, skip.buffer(), y.buffer(), grid);
    return y;
  }

  /**
   * Classes of each voxel.
   *
   * @param x (B, D, H, W, Cin)
   * @return (B, K, D, H, W), classes first
   * @throws IllegalArgumentException if the channels are not those of the parameters
   */
  public static Tensor head(Tensor x, HeadParameters parameters, HeadOutput output) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.inChannels());
    Extents extents = grid.extents();
    Tensor y =
        Tensor.uninitialized(
            x.backend(),
            Shape.of(
                grid.batch(),
                parameters.classes(),
                extents.depth(),
                extents.height(),
                extents.width()));
    x.backend().boxes().head(x.buffer(), parameters, output, y.buffer(), grid);
    return y;
  }

  private static Grid grid(Tensor x) {
    Shape shape = x.shape();
    if (shape.rank() != 5) {
      throw new IllegalArgumentException(
          "activations have shape %s, expected (B, D, H, W, C)".formatted(shape));
    }
    return new Grid(
        shape.extent(0), new Extents(shape.extent(1), shape.extent(2), shape.extent(3)));
  }

  private static Tensor activations(Tensor like, Grid grid, int channels) {
    Extents extents = grid.extents();
    return Tensor.uninitialized(
        like.backend(),
        Shape.of(grid.batch(), extents.depth(), extents.height(), extents.width(), channels));
  }

  private static void requireChannels(String name, Tensor x, int channels) {
    if (x.shape().extent(-1) != channels) {
      throw new IllegalArgumentException(
          "%s: %d channels, expected %d".formatted(name, x.shape().extent(-1), channels));
    }
  }
}
