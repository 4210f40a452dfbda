package org.unetrpp.model;

import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.tensor.Tensor;

/**
 * Transposed convolution plus the encoder's features of the same size. In published checkpoints:
 * {@code decoderN.transp_conv}.
 */
record Upsampling(UpsampleParameters parameters) {
  static Upsampling of(
      Parameters state, String decoder, int inChannels, int outChannels, Extents stride) {
    String name = decoder + ".transp_conv.conv";
    return new Upsampling(
        new UpsampleParameters(
            name, inChannels, outChannels, stride, state.buffer(name + ".weight")));
  }

  Tensor forward(Tensor x, Tensor skip) {
    return NetworkBoxes.upsample(x, parameters, skip);
  }
}
