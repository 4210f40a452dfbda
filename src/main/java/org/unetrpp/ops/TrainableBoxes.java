package org.unetrpp.ops;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.Pullback;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.memory.Buffer;
import org.unetrpp.tensor.Tensor;

/**
 * The boxes of the paper's figure (Shaker et al. 2024, figure 2) in training mode, each on the tape
 * with its gradient. Shapes and errors are those of {@link NetworkBoxes}; {@code gradients} has the
 * form of the parameters and collects theirs. Everything stays in the innermost memory scope, which
 * must outlive the backward pass.
 */
public final class TrainableBoxes {
  private TrainableBoxes() {}

  /** As {@link NetworkBoxes#patchEmbedding}. */
  public static Tensor patchEmbedding(
      Tensor x, PatchEmbeddingParameters parameters, PatchEmbeddingParameters gradients) {
    BoxShapes.Transition shapes = BoxShapes.patchEmbedding(x, parameters);
    Tensor y = shapes.output(x);
    var pullback =
        x.backend()
            .trainingBoxes()
            .patchEmbedding(x.buffer(), parameters, y.buffer(), shapes.grid());
    return recorded(parameters.name(), x, y, pullback, gradients);
  }

  /**
   * As {@link NetworkBoxes#pairedAttention}.
   *
   * @param channelMaps dropout of the channel branch's maps
   * @param spatialMaps dropout of the spatial branch's maps
   */
  public static Tensor pairedAttention(
      Tensor x,
      PairedAttentionParameters parameters,
      PairedAttentionParameters gradients,
      Dropout channelMaps,
      Dropout spatialMaps) {
    BoxShapes.Transition shapes = BoxShapes.pairedAttention(x, parameters);
    Tensor y = shapes.output(x);
    var pullback =
        x.backend()
            .trainingBoxes()
            .pairedAttention(
                x.buffer(),
                parameters,
                channelMaps,
                spatialMaps,
                y.buffer(),
                shapes.grid().batch());
    return recorded(parameters.name(), x, y, pullback, gradients);
  }

  /**
   * As {@link NetworkBoxes#residualBlock}.
   *
   * @param dropout of channels before the tail
   */
  public static Tensor residualBlock(
      Tensor x,
      ResidualBlockParameters parameters,
      ResidualBlockParameters gradients,
      @Nullable Tensor skip,
      Dropout dropout) {
    BoxShapes.Transition shapes = BoxShapes.residualBlock(x, parameters, skip);
    Tensor y = shapes.output(x);
    var pullback =
        x.backend()
            .trainingBoxes()
            .residualBlock(
                x.buffer(),
                parameters,
                skip == null ? null : skip.buffer(),
                dropout,
                y.buffer(),
                shapes.grid());
    return skip == null
        ? recorded(parameters.name(), x, y, pullback, gradients)
        : recorded(parameters.name(), x, skip, y, pullback, gradients);
  }

  /** As {@link NetworkBoxes#upsample}. */
  public static Tensor upsample(
      Tensor x, UpsampleParameters parameters, UpsampleParameters gradients, Tensor skip) {
    BoxShapes.Transition shapes = BoxShapes.upsample(x, parameters, skip);
    Tensor y = shapes.output(x);
    var pullback =
        x.backend()
            .trainingBoxes()
            .upsample(x.buffer(), parameters, skip.buffer(), y.buffer(), shapes.grid());
    return recorded(parameters.name(), x, skip, y, pullback, gradients);
  }

  /** As {@link NetworkBoxes#head}, giving logits. */
  public static Tensor head(Tensor x, HeadParameters parameters, HeadParameters gradients) {
    BoxShapes.Transition shapes = BoxShapes.head(x, parameters);
    Tensor y = shapes.output(x);
    var pullback =
        x.backend().trainingBoxes().head(x.buffer(), parameters, y.buffer(), shapes.grid());
    return recorded(parameters.name(), x, y, pullback, gradients);
  }

  /** A box with one input, which may be an image that needs no gradient. */
  private static <P> Tensor recorded(
      String name, Tensor x, Tensor y, Pullback<P> pullback, P gradients) {
    if (!x.isTracked()) {
      return y.producedByTrained(
          name,
          List.of(),
          dy -> {
            pullback.apply(dy.buffer(), gradients, null);
            return List.of();
          });
    }
    return y.producedByTrained(
        name, List.of(x), dy -> List.of(inputGradient(x, dy, pullback, gradients)));
  }

  /** A box that adds to {@code skip}, whose gradient is that of the output. */
  private static <P> Tensor recorded(
      String name, Tensor x, Tensor skip, Tensor y, Pullback<P> pullback, P gradients) {
    return y.producedByTrained(
        name, List.of(x, skip), dy -> List.of(inputGradient(x, dy, pullback, gradients), dy));
  }

  private static <P> Tensor inputGradient(Tensor x, Tensor dy, Pullback<P> pullback, P gradients) {
    Tensor dx = x.like();
    Buffer buffer = dx.buffer();
    pullback.apply(dy.buffer(), gradients, buffer);
    return dx;
  }
}
