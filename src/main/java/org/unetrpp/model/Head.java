package org.unetrpp.model;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.ops.TrainableBoxes;
import org.unetrpp.tensor.Tensor;

/** A 1x1x1 convolution to classes: {@code out1}, {@code out2}, {@code out3}. */
record Head(HeadParameters parameters, @Nullable HeadParameters gradients) {
  static Head of(
      Parameters state,
      @Nullable TrainingMode training,
      String output,
      int inChannels,
      int classes) {
    return new Head(
        parameters(state, output, inChannels, classes),
        training == null ? null : parameters(training.gradients(), output, inChannels, classes));
  }

  private static HeadParameters parameters(
      Parameters state, String output, int inChannels, int classes) {
    String name = output + ".conv.conv";
    return new HeadParameters(
        name, inChannels, classes, state.buffer(name + ".weight"), state.buffer(name + ".bias"));
  }

  /** Logits or probabilities, off the tape. */
  Tensor forward(Tensor x, HeadOutput output) { // (B, D, H, W, C) to (B, K, D, H, W)
    return shown(NetworkBoxes.head(x, parameters, output));
  }

  /** Logits, on the tape in training. */
  Tensor logits(Tensor x) { // (B, D, H, W, C) to (B, K, D, H, W)
    return gradients == null
        ? forward(x, HeadOutput.LOGITS)
        : shown(TrainableBoxes.head(x, parameters, gradients));
  }

  /** Logits or probabilities, shown to the probe. */
  Tensor shown(Tensor y) {
    Shown.showLogits(parameters.name(), y);
    return y;
  }
}
