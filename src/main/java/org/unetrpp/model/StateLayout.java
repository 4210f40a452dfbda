package org.unetrpp.model;

import static org.unetrpp.model.StateEntry.parameter;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * The tensors of a network's state in the order, names and shapes of published checkpoints, deep
 * supervision heads included. Model files keep the same names.
 */
public final class StateLayout {
  private final List<StateEntry> entries = new ArrayList<>();
  private final Architecture architecture;

  private StateLayout(Architecture architecture) {
    this.architecture = architecture;
  }

  /** The entries of {@code architecture}, aliases included. */
  public static List<StateEntry> of(Architecture architecture) {
    StateLayout layout = new StateLayout(architecture);
    layout.encoder();
    layout.fullResolution();
    layout.decoder();
    layout.heads();
    return List.copyOf(layout.entries);
  }

  private void encoder() {
    int from = architecture.inputChannels();
    for (int stage = 0; stage < Architecture.STAGES; stage++) {
      int to = architecture.widths().get(stage);
      Extents stride =
          stage == 0 ? architecture.stem() : architecture.downsampling().get(stage - 1);
      String name = "unetr_pp_encoder.downsample_layers." + stage;
      convolution(name + ".0.conv", to, from, stride);
      affine(name + ".1", to);
      from = to;
    }
    for (int stage = 0; stage < Architecture.STAGES; stage++) {
      for (int block = 0; block < architecture.encoderDepths().get(stage); block++) {
        transformerBlock(
            "unetr_pp_encoder.stages.%d.%d".formatted(stage, block),
            stage,
            architecture.projections().get(stage));
      }
    }
  }

  private void fullResolution() {
    int features = architecture.featureSize();
    int channels = architecture.inputChannels();
    convolution("encoder1.conv1.conv", features, channels, Extents.cube(3));
    convolution("encoder1.conv2.conv", features, features, Extents.cube(3));
    if (channels != features) {
      convolution("encoder1.conv3.conv", features, channels, Extents.cube(1));
    }
  }

  private void decoder() {
    List<Integer> widths = architecture.widths();
    for (int stage = Architecture.STAGES - 2; stage >= 0; stage--) {
      String name = "decoder" + (stage + 3);
      transposedConvolution(
          name, widths.get(stage + 1), widths.get(stage), architecture.downsampling().get(stage));
      for (int block = 0; block < architecture.decoderDepth(); block++) {
        transformerBlock(
            name + ".decoder_block.0." + block, stage, architecture.decoderProjection());
      }
    }
    int features = architecture.featureSize();
    transposedConvolution("decoder2", widths.getFirst(), features, architecture.stem());
    convolution("decoder2.decoder_block.0.conv1.conv", features, features, Extents.cube(3));
    convolution("decoder2.decoder_block.0.conv2.conv", features, features, Extents.cube(3));
  }

  private void heads() {
    List<Integer> widths = architecture.widths();
    head("out1", architecture.featureSize());
    head("out2", widths.get(0));
    head("out3", widths.get(1));
  }

  private void transformerBlock(String name, int stage, int projected) {
    int channels = architecture.widths().get(stage);
    int tokens = architecture.stageTokens(stage);
    add(parameter(name + ".gamma", channels));
    add(parameter(name + ".pos_embed", 1, tokens, channels));
    affine(name + ".norm", channels);
    pairedAttention(name + ".epa_block", channels, tokens, projected);
    for (int i = 1; i <= architecture.residualConvolutions(); i++) {
      residualConvolution(name + ".conv5" + i, channels);
    }
    add(parameter(name + ".conv8.1.weight", channels, channels, 1, 1, 1));
    add(parameter(name + ".conv8.1.bias", channels));
  }

  private void pairedAttention(String name, int channels, int tokens, int projected) {
    add(parameter(name + ".temperature", architecture.heads(), 1, 1));
    add(parameter(name + ".temperature2", architecture.heads(), 1, 1));
    boolean linear = architecture.tokenProjection() != TokenProjection.SHARED_MATRIX;
    if (!linear) {
      add(parameter(name + ".EF", tokens, projected));
    }
    add(parameter(name + ".qkvv.weight", 4 * channels, channels));
    if (linear) {
      add(parameter(name + ".E.weight", projected, tokens));
      add(parameter(name + ".E.bias", projected));
      StateEntry weight = parameter(name + ".F.weight", projected, tokens);
      StateEntry bias = parameter(name + ".F.bias", projected);
      if (architecture.tokenProjection() == TokenProjection.SHARED_LINEAR) {
        weight = alias(weight, name + ".E.weight");
        bias = alias(bias, name + ".E.bias");
      }
      add(weight);
      add(bias);
    }
    if (architecture.fusion() == Fusion.CONCATENATE) {
      for (String projection : List.of(".out_proj", ".out_proj2")) {
        add(parameter(name + projection + ".weight", channels / 2, channels));
        add(parameter(name + projection + ".bias", channels / 2));
      }
    }
  }

  private void residualConvolution(String name, int channels) {
    convolution(name + ".conv1.conv", channels, channels, Extents.cube(3));
    convolution(name + ".conv2.conv", channels, channels, Extents.cube(3));
    for (String norm : List.of(name + ".norm1", name + ".norm2")) {
      affine(norm, channels);
      add(statistic(norm + ".running_mean", channels));
      add(statistic(norm + ".running_var", channels));
      add(new StateEntry(norm + ".num_batches_tracked", List.of(), StateEntry.Role.COUNTER, null));
    }
  }

  private void convolution(String name, int out, int in, Extents kernel) {
    add(parameter(name + ".weight", out, in, kernel.depth(), kernel.height(), kernel.width()));
  }

  private void transposedConvolution(String block, int in, int out, Extents kernel) {
    add(
        parameter(
            block + ".transp_conv.conv.weight",
            in,
            out,
            kernel.depth(),
            kernel.height(),
            kernel.width()));
  }

  private void affine(String name, int channels) {
    add(parameter(name + ".weight", channels));
    add(parameter(name + ".bias", channels));
  }

  private void head(String name, int channels) {
    add(parameter(name + ".conv.conv.weight", architecture.classes(), channels, 1, 1, 1));
    add(parameter(name + ".conv.conv.bias", architecture.classes()));
  }

  private void add(StateEntry entry) {
    entries.add(entry);
  }

  private static StateEntry statistic(String name, int channels) {
    return new StateEntry(name, List.of(channels), StateEntry.Role.STATISTIC, null);
  }

  private static StateEntry alias(StateEntry entry, String of) {
    return new StateEntry(entry.name(), entry.shape(), entry.role(), of);
  }
}
