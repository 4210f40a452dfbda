package org.unetrpp.model;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.nn.Module;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.ops.TrainableBoxes;
import org.unetrpp.tensor.Tensor;

/**
 * Residual convolutions with instance normalization at full resolution: {@code encoder1} and {@code
 * decoder2.decoder_block.0} of published checkpoints.
 */
record FullResolutionBlock(
    ResidualBlockParameters parameters, @Nullable ResidualBlockParameters gradients)
    implements Module {
  static FullResolutionBlock of(
      Parameters state,
      @Nullable TrainingMode training,
      String name,
      int inChannels,
      int outChannels) {
    return new FullResolutionBlock(
        parameters(state, name, inChannels, outChannels),
        training == null ? null : parameters(training.gradients(), name, inChannels, outChannels));
  }

  private static ResidualBlockParameters parameters(
      Parameters state, String name, int inChannels, int outChannels) {
    return new ResidualBlockParameters(
        name,
        inChannels,
        outChannels,
        state.buffer(name + ".conv1.conv.weight"),
        new ChannelNorm.Instance(),
        state.buffer(name + ".conv2.conv.weight"),
        new ChannelNorm.Instance(),
        inChannels == outChannels ? null : state.buffer(name + ".conv3.conv.weight"),
        null);
  }

  /** In training; in evaluation it is part of {@link NetworkBoxes#fullResolution}. */
  @Override
  public Tensor forward(Tensor x) { // (B, D, H, W, Cin)
    Tensor y =
        TrainableBoxes.residualBlock(
            x, parameters, Objects.requireNonNull(gradients), null, Dropout.NONE);
    Shown.show(parameters.name(), y);
    return y; // (B, D, H, W, Cout)
  }
}
