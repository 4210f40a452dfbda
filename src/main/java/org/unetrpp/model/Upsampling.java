package org.unetrpp.model;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.ops.TrainableBoxes;
import org.unetrpp.tensor.Tensor;

/**
 * Transposed convolution plus the encoder's features of the same size. In published checkpoints:
 * {@code decoderN.transp_conv}.
 */
record Upsampling(UpsampleParameters parameters, @Nullable UpsampleParameters gradients) {
  static Upsampling of(
      Parameters state,
      @Nullable TrainingMode training,
      String decoder,
      int inChannels,
      int outChannels,
      Extents stride) {
    return new Upsampling(
        parameters(state, decoder, inChannels, outChannels, stride),
        training == null
            ? null
            : parameters(training.gradients(), decoder, inChannels, outChannels, stride));
  }

  private static UpsampleParameters parameters(
      Parameters state, String decoder, int inChannels, int outChannels, Extents stride) {
    String name = decoder + ".transp_conv.conv";
    return new UpsampleParameters(
        name, inChannels, outChannels, stride, state.buffer(name + ".weight"));
  }

  Tensor forward(Tensor x, Tensor skip) {
    return gradients == null
        ? NetworkBoxes.upsample(x, parameters, skip)
        : TrainableBoxes.upsample(x, parameters, gradients, skip);
  }
}
