package org.unetrpp.model;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.nn.Module;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.ops.TrainableBoxes;
import org.unetrpp.tensor.Tensor;

/**
 * Patch embedding: a convolution whose kernel is its stride, then group normalization with as many
 * groups as input channels. In published checkpoints: {@code unetr_pp_encoder.downsample_layers.S},
 * child {@code 0} the convolution, {@code 1} the norm.
 */
record PatchEmbedding(
    PatchEmbeddingParameters parameters, @Nullable PatchEmbeddingParameters gradients)
    implements Module {
  static PatchEmbedding of(
      Parameters state,
      @Nullable TrainingMode training,
      String name,
      int inChannels,
      int outChannels,
      Extents stride) {
    return new PatchEmbedding(
        parameters(state, name, inChannels, outChannels, stride),
        training == null
            ? null
            : parameters(training.gradients(), name, inChannels, outChannels, stride));
  }

  private static PatchEmbeddingParameters parameters(
      Parameters state, String name, int inChannels, int outChannels, Extents stride) {
    return new PatchEmbeddingParameters(
        name,
        Convolution.patches(inChannels, outChannels, stride),
        state.buffer(name + ".0.conv.weight"),
        inChannels,
        state.buffer(name + ".1.weight"),
        state.buffer(name + ".1.bias"));
  }

  @Override
  public Tensor forward(Tensor x) { // (B, D, H, W, Cin)
    Tensor y =
        gradients == null
            ? NetworkBoxes.patchEmbedding(x, parameters)
            : TrainableBoxes.patchEmbedding(x, parameters, gradients);
    Shown.show(parameters.name(), y);
    return y; // (B, D / kD, H / kH, W / kW, Cout)
  }
}
