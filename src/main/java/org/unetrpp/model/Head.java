package org.unetrpp.model;

import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.tensor.Tensor;

/** A 1x1x1 convolution to classes: {@code out1}, {@code out2}, {@code out3}. */
record Head(HeadParameters parameters) {
  static Head of(Parameters state, String output, int inChannels, int classes) {
    String name = output + ".conv.conv";
    return new Head(
        new HeadParameters(
            name,
            inChannels,
            classes,
            state.buffer(name + ".weight"),
            state.buffer(name + ".bias")));
  }

  Tensor forward(Tensor x, HeadOutput output) { // (B, D, H, W, C) to (B, K, D, H, W)
    Tensor y = NetworkBoxes.head(x, parameters, output);
    Shown.showLogits(parameters.name(), y);
    return y;
  }
}
