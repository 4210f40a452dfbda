package org.unetrpp.ops;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/** Checks what goes into a box and says what shape comes out. */
final class BoxShapes {
  private BoxShapes() {}

  /**
   * What a box makes of its input.
   *
   * @param grid of the input
   * @param result shape of the output
   */
  record Transition(Grid grid, Shape result) {
    /** An uninitialized output. */
    Tensor output(Tensor x) {
      return Tensor.uninitialized(x.backend(), result);
    }
  }

  static Transition patchEmbedding(Tensor x, PatchEmbeddingParameters parameters) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.convolution().inChannels());
    Extents stride = parameters.convolution().stride();
    if (!grid.extents().divisibleBy(stride)) {
      throw new IllegalArgumentException(
          "%s: %s voxels are no multiple of the stride %s"
              .formatted(parameters.name(), grid.extents(), stride));
    }
    int channels = parameters.convolution().outChannels();
    return new Transition(grid, activations(grid.dividedBy(stride), channels));
  }

  static Transition pairedAttention(Tensor x, PairedAttentionParameters parameters) {
    Grid grid = grid(x);
    requireTokens(parameters, grid, x.shape().extent(-1));
    return new Transition(grid, x.shape());
  }

  static Transition embeddedAttention(
      Tensor x, PatchEmbeddingParameters embedding, PairedAttentionParameters attention) {
    Transition shapes = patchEmbedding(x, embedding);
    Convolution convolution = embedding.convolution();
    Grid patches = shapes.grid().dividedBy(convolution.stride());
    requireTokens(attention, patches, convolution.outChannels());
    return shapes;
  }

  private static void requireTokens(PairedAttentionParameters parameters, Grid grid, int channels) {
    requireChannels(parameters.name(), channels, parameters.channels());
    if (grid.tokens() != parameters.tokens()) {
      throw new IllegalArgumentException(
          "%s: %d tokens, expected %d"
              .formatted(parameters.name(), grid.tokens(), parameters.tokens()));
    }
  }

  static Transition residualBlock(
      Tensor x, ResidualBlockParameters parameters, @Nullable Tensor skip) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.inChannels());
    Shape result = activations(grid, parameters.outChannels());
    if (skip != null) {
      Shape.require("skip", skip.shape(), result);
    }
    return new Transition(grid, result);
  }

  static Transition upsample(Tensor x, UpsampleParameters parameters, Tensor skip) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.inChannels());
    Shape result = activations(grid.times(parameters.stride()), parameters.outChannels());
    Shape.require("skip", skip.shape(), result);
    return new Transition(grid, result);
  }

  /** Requires features that are upsampled to a grid. */
  static void requireUpsampled(Tensor x, UpsampleParameters parameters, Grid grid) {
    requireChannels(parameters.name(), x, parameters.inChannels());
    Grid upsampled = grid(x).times(parameters.stride());
    if (!upsampled.equals(grid)) {
      throw new IllegalArgumentException(
          "%s: features become %d x %s voxels, expected %d x %s"
              .formatted(
                  parameters.name(),
                  upsampled.batch(),
                  upsampled.extents(),
                  grid.batch(),
                  grid.extents()));
    }
  }

  static Transition head(Tensor x, HeadParameters parameters) {
    Grid grid = grid(x);
    requireChannels(parameters.name(), x, parameters.inChannels());
    return new Transition(grid, classes(grid, parameters.classes()));
  }

  /** Classes first. */
  static Shape classes(Grid grid, int classes) {
    Extents extents = grid.extents();
    return Shape.of(grid.batch(), classes, extents.depth(), extents.height(), extents.width());
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

  static Shape activations(Grid grid, int channels) {
    Extents extents = grid.extents();
    return Shape.of(grid.batch(), extents.depth(), extents.height(), extents.width(), channels);
  }

  private static void requireChannels(String name, Tensor x, int expected) {
    requireChannels(name, x.shape().extent(-1), expected);
  }

  private static void requireChannels(String name, int channels, int expected) {
    if (channels != expected) {
      throw new IllegalArgumentException(
          "%s: %d channels, expected %d".formatted(name, channels, expected));
    }
  }
}
