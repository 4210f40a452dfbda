package org.unetrpp.ops;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.FullResolution;
import org.unetrpp.backend.FullResolutionParameters;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * The boxes of the paper's figure (Shaker et al. 2024, figure 2) as functions of tensors, in
 * evaluation mode: check, allocate, call the backend.
 */
public final class NetworkBoxes {
  private NetworkBoxes() {}

  /**
   * Puts the channels last. A single channel is last already: then the result has the memory of the
   * image.
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
    Shape activations = BoxShapes.activations(grid, shape.extent(1));
    if (shape.extent(1) == 1) {
      return Tensor.over(image.backend(), image.buffer(), activations);
    }
    Tensor y = Tensor.uninitialized(image.backend(), activations);
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
    BoxShapes.Transition shapes = BoxShapes.patchEmbedding(x, parameters);
    Tensor y = shapes.output(x);
    x.backend().boxes().patchEmbedding(x.buffer(), parameters, y.buffer(), shapes.grid());
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
    BoxShapes.Transition shapes = BoxShapes.pairedAttention(x, parameters);
    Tensor y = shapes.output(x);
    x.backend().boxes().pairedAttention(x.buffer(), parameters, y.buffer(), shapes.grid().batch());
    return y;
  }

  /**
   * A patch embedding and the paired attention of the block behind it.
   *
   * @param x (B, D, H, W, Cin)
   * @return (B, D / kD, H / kH, W / kW, C)
   * @throws IllegalArgumentException if the stride does not divide the extents, or the tokens or
   *     channels are not those of the parameters
   */
  public static Tensor embeddedAttention(
      Tensor x, PatchEmbeddingParameters embedding, PairedAttentionParameters attention) {
    BoxShapes.Transition shapes = BoxShapes.embeddedAttention(x, embedding, attention);
    Tensor y = shapes.output(x);
    x.backend()
        .boxes()
        .embeddedAttention(x.buffer(), embedding, attention, y.buffer(), shapes.grid());
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
    BoxShapes.Transition shapes = BoxShapes.residualBlock(x, parameters, skip);
    Tensor y = shapes.output(x);
    Buffer addend = skip == null ? null : skip.buffer();
    x.backend().boxes().residualBlock(x.buffer(), parameters, addend, y.buffer(), shapes.grid());
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
    BoxShapes.Transition shapes = BoxShapes.upsample(x, parameters, skip);
    Tensor y = shapes.output(x);
    x.backend().boxes().upsample(x.buffer(), parameters, skip.buffer(), y.buffer(), shapes.grid());
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
    BoxShapes.Transition shapes = BoxShapes.head(x, parameters);
    Tensor y = shapes.output(x);
    x.backend().boxes().head(x.buffer(), parameters, output, y.buffer(), shapes.grid());
    return y;
  }

  /**
   * Begins the path at full resolution with the image.
   *
   * @param x (B, D, H, W, C)
   * @throws IllegalArgumentException if the channels are not those of the parameters
   */
  public static FullResolutionPath fullResolution(Tensor x, FullResolutionParameters parameters) {
    BoxShapes.Transition shapes = BoxShapes.residualBlock(x, parameters.encoder(), null);
    FullResolution begun =
        x.backend().boxes().fullResolution(x.buffer(), parameters, shapes.grid());
    return new FullResolutionPath(begun, x.backend(), parameters, shapes.grid());
  }

  /** The path at full resolution, begun. */
  public static final class FullResolutionPath {
    private final FullResolution begun;
    private final Backend backend;
    private final FullResolutionParameters parameters;
    private final Grid grid;

    private FullResolutionPath(
        FullResolution begun, Backend backend, FullResolutionParameters parameters, Grid grid) {
      this.begun = begun;
      this.backend = backend;
      this.parameters = parameters;
      this.grid = grid;
    }

    /**
     * Finishes the path, once.
     *
     * @param features (B, D / kD, H / kH, W / kW, Cin)
     * @return (B, K, D, H, W), classes first
     * @throws IllegalArgumentException if the shape does not fit the parameters
     */
    public Tensor finish(Tensor features, HeadOutput output) {
      BoxShapes.requireUpsampled(features, parameters.upsampling(), grid);
      Buffer y = begun.finish(features.buffer(), output);
      return Tensor.over(backend, y, BoxShapes.classes(grid, parameters.head().classes()));
    }
  }
}
