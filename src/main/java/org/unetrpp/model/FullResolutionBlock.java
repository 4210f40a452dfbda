package org.unetrpp.model;

import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.nn.Module;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.tensor.Tensor;

/**
 * Residual convolutions with instance normalization at full resolution: {@code encoder1} and {@code
 * decoder2.decoder_block.0} of published checkpoints.
 */
record FullResolutionBlock(ResidualBlockParameters parameters) implements Module {
  static FullResolutionBlock of(Parameters state, String name, int inChannels, int outChannels) {
    return new FullResolutionBlock(
        new ResidualBlockParameters(
            name,
            inChannels,
            outChannels,
            state.buffer(name + ".conv1.conv.weight"),
            new ChannelNorm.Instance(),
            state.buffer(name + ".conv2.conv.weight"),
            new ChannelNorm.Instance(),
            inChannels == outChannels ? null : state.buffer(name + ".conv3.conv.weight"),
            null));
  }

  @Override
  public Tensor forward(Tensor x) { // (B, D, H, W, Cin)
    Tensor y = NetworkBoxes.residualBlock(x, parameters, null); // (B, D, H, W, Cout)
    Shown.show(parameters.name(), y);
    return y;
  }
}
