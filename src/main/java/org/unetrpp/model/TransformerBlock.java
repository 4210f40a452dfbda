package org.unetrpp.model;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.nn.Module;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.ops.TrainableBoxes;
import org.unetrpp.tensor.Tensor;

/**
 * One transformer block of UNETR++ (Shaker et al. 2024, figure 2): efficient paired attention over
 * the tokens, then residual convolutions over the volume, each behind a skip connection. In
 * published checkpoints: {@code pos_embed}, {@code norm}, {@code gamma}, {@code epa_block}, {@code
 * conv51}, in two networks {@code conv52}, and {@code conv8}.
 *
 * @param parameters of the attention and the convolutions
 * @param training how it is trained, or none in evaluation
 */
record TransformerBlock(String name, Blocks parameters, @Nullable Trained training)
    implements Module {
  /**
   * The boxes of the block.
   *
   * @param attention positions, layer normalization, attention and its residual
   * @param convolutions the residual blocks, the last with the tail that closes the block
   */
  record Blocks(PairedAttentionParameters attention, List<ResidualBlockParameters> convolutions) {
    Blocks {
      convolutions = List.copyOf(convolutions);
    }
  }

  /**
   * What training adds.
   *
   * @param gradients of the form of the parameters
   * @param channelMaps dropout of the channel branch's maps
   * @param spatialMaps dropout of the spatial branch's maps
   * @param tail dropout of channels before the block's last convolution
   */
  record Trained(Blocks gradients, Dropout channelMaps, Dropout spatialMaps, Dropout tail) {}

  static TransformerBlock of(
      Parameters state,
      @Nullable TrainingMode training,
      String name,
      Architecture architecture,
      int stage,
      int projected) {
    return new TransformerBlock(
        name,
        blocks(state, name, architecture, stage, projected),
        training == null
            ? null
            : new Trained(
                blocks(training.gradients(), name, architecture, stage, projected),
                training.dropout(architecture.attentionDropout(), name, 0),
                training.dropout(architecture.attentionDropout(), name, 1),
                training.dropout(architecture.channelDropout(), name, 2)));
  }

  private static Blocks blocks(
      Parameters state, String name, Architecture architecture, int stage, int projected) {
    int channels = architecture.widths().get(stage);
    List<ResidualBlockParameters> convolutions = new ArrayList<>();
    for (int i = 1; i <= architecture.residualConvolutions(); i++) {
      Tail tail =
          i < architecture.residualConvolutions()
              ? null
              : new Tail(
                  name + ".conv8",
                  state.buffer(name + ".conv8.1.weight"),
                  state.buffer(name + ".conv8.1.bias"));
      convolutions.add(residualConvolution(state, name + ".conv5" + i, channels, tail));
    }
    return new Blocks(attention(state, name, architecture, stage, projected), convolutions);
  }

  private static PairedAttentionParameters attention(
      Parameters state, String name, Architecture architecture, int stage, int projected) {
    String epa = name + ".epa_block";
    return new PairedAttentionParameters(
        name,
        architecture.widths().get(stage),
        architecture.heads(),
        architecture.stageTokens(stage),
        projected,
        state.buffer(name + ".pos_embed"),
        state.buffer(name + ".norm.weight"),
        state.buffer(name + ".norm.bias"),
        state.buffer(name + ".gamma"),
        state.buffer(epa + ".temperature"),
        state.buffer(epa + ".temperature2"),
        state.buffer(epa + ".qkvv.weight"),
        projection(state, epa, architecture.tokenProjection(), "E"),
        projection(state, epa, architecture.tokenProjection(), "F"),
        concatenation(state, epa, architecture.fusion()));
  }

  private static Projection projection(
      Parameters state, String epa, TokenProjection kind, String separateName) {
    return switch (kind) {
      case SHARED_MATRIX -> new Projection("EF", state.buffer(epa + ".EF"), true, null);
      case SHARED_LINEAR -> linear(state, epa, "E");
      case SEPARATE_LINEAR -> linear(state, epa, separateName);
    };
  }

  private static Projection linear(Parameters state, String epa, String name) {
    return new Projection(
        name,
        state.buffer(epa + "." + name + ".weight"),
        false,
        state.buffer(epa + "." + name + ".bias"));
  }

  private static @Nullable Concatenation concatenation(
      Parameters state, String epa, Fusion fusion) {
    return switch (fusion) {
      case SUM -> null;
      case CONCATENATE ->
          new Concatenation(
              state.buffer(epa + ".out_proj.weight"),
              state.buffer(epa + ".out_proj.bias"),
              state.buffer(epa + ".out_proj2.weight"),
              state.buffer(epa + ".out_proj2.bias"));
    };
  }

  private static ResidualBlockParameters residualConvolution(
      Parameters state, String name, int channels, @Nullable Tail tail) {
    return new ResidualBlockParameters(
        name,
        channels,
        channels,
        state.buffer(name + ".conv1.conv.weight"),
        batchNorm(state, name + ".norm1"),
        state.buffer(name + ".conv2.conv.weight"),
        batchNorm(state, name + ".norm2"),
        null,
        tail);
  }

  private static ChannelNorm.Batch batchNorm(Parameters state, String name) {
    return new ChannelNorm.Batch(
        name,
        state.buffer(name + ".weight"),
        state.buffer(name + ".bias"),
        state.buffer(name + ".running_mean"),
        state.buffer(name + ".running_var"));
  }

  @Override
  public Tensor forward(Tensor x) { // (B, D, H, W, C): a voxel is a token
    Tensor y =
        training == null ? Tensor.keepingOnly(x.backend(), () -> evaluate(x)) : train(x, training);
    Shown.show(name, y);
    return y; // (B, D, H, W, C)
  }

  /**
   * The same behind a patch embedding, whose norm the attention may apply.
   *
   * @param x what is embedded, (B, D, H, W, Cin)
   */
  Tensor forward(PatchEmbedding embedding, Tensor x) {
    if (training != null) {
      return forward(embedding.forward(x));
    }
    Tensor y =
        Tensor.keepingOnly(
            x.backend(),
            () ->
                convolved(
                    NetworkBoxes.embeddedAttention(
                        x, embedding.parameters(), parameters.attention())));
    Shown.show(name, y);
    return y; // (B, D, H, W, C)
  }

  private Tensor evaluate(Tensor x) {
    return convolved(NetworkBoxes.pairedAttention(x, parameters.attention()));
  }

  private Tensor convolved(Tensor attended) {
    Tensor z = attended;
    for (ResidualBlockParameters convolution : parameters.convolutions()) {
      Tensor skip = convolution.tail() == null ? null : attended;
      z = NetworkBoxes.residualBlock(z, convolution, skip);
    }
    return z;
  }

  private Tensor train(Tensor x, Trained trained) {
    Tensor attended =
        TrainableBoxes.pairedAttention(
            x,
            parameters.attention(),
            trained.gradients().attention(),
            trained.channelMaps(),
            trained.spatialMaps());
    Tensor z = attended;
    for (int i = 0; i < parameters.convolutions().size(); i++) {
      ResidualBlockParameters convolution = parameters.convolutions().get(i);
      z =
          TrainableBoxes.residualBlock(
              z,
              convolution,
              trained.gradients().convolutions().get(i),
              convolution.tail() == null ? null : attended,
              trained.tail());
    }
    return z;
  }
}
