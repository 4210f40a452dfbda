package org.unetrpp.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.FullResolutionParameters;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.grid.Extents;
import org.unetrpp.nn.Module;
import org.unetrpp.nn.Parameters;
import org.unetrpp.ops.NetworkBoxes;
import org.unetrpp.ops.NetworkBoxes.FullResolutionPath;
import org.unetrpp.tensor.Shape;
import org.unetrpp.tensor.Tensor;

/**
 * UNETR++ (Shaker et al., IEEE TMI 2024, figure 2): an encoder of four stages with efficient paired
 * attention, a decoder of three that adds the encoder's features, and a convolutional path at full
 * resolution.
 */
public final class UnetrPlusPlus {
  private final Architecture architecture;
  private final Backend backend;
  private final @Nullable TrainingMode training;
  private final List<Stage> encoder = new ArrayList<>();
  private final List<DecoderStage> decoder = new ArrayList<>(); // decoder5, decoder4, decoder3
  private final FullResolutionBlock encoder1;
  private final Upsampling decoder2Upsampling;
  private final FullResolutionBlock decoder2;
  private final Head out1;
  private final @Nullable Head out2;
  private final @Nullable Head out3;

  /** An embedding and the transformer blocks behind it. */
  private record Stage(String name, PatchEmbedding embedding, List<TransformerBlock> blocks)
      implements Module {
    @Override
    public Tensor forward(Tensor x) {
      Tensor first = blocks.getFirst().forward(embedding, x);
      return chain(name, first, blocks.subList(1, blocks.size()));
    }
  }

  /** Upsampling with the encoder's features, and the transformer blocks behind it. */
  private record DecoderStage(String name, Upsampling upsampling, List<TransformerBlock> blocks) {
    Tensor forward(Tensor x, Tensor skip) {
      return chain(name, upsampling.forward(x, skip), blocks);
    }
  }

  private static Tensor chain(String name, Tensor x, List<TransformerBlock> blocks) {
    Tensor y = x;
    for (TransformerBlock block : blocks) {
      y = block.forward(y);
    }
    Shown.show(name, y);
    return y;
  }

  /**
   * A network over parameters that are named and shaped as {@link StateLayout} says. The deep
   * supervision heads {@code out2} and {@code out3} may be missing.
   *
   * @throws IllegalArgumentException if another parameter is missing
   */
  public UnetrPlusPlus(Architecture architecture, Parameters state) {
    this(architecture, state, null);
  }

  /**
   * A network for one training step, if {@code training} is given: with dropout, batch
   * normalization by the batch's statistics, and a tape.
   *
   * @throws IllegalArgumentException if a parameter other than those of {@code out2} and {@code
   *     out3} is missing
   */
  public UnetrPlusPlus(
      Architecture architecture, Parameters state, @Nullable TrainingMode training) {
    this.architecture = architecture;
    this.backend = state.backend();
    this.training = training;
    List<Integer> widths = architecture.widths();
    for (int stage = 0; stage < Architecture.STAGES; stage++) {
      encoder.add(encoderStage(state, stage));
    }
    for (int stage = Architecture.STAGES - 2; stage >= 0; stage--) {
      decoder.add(decoderStage(state, stage));
    }
    int features = architecture.featureSize();
    encoder1 =
        FullResolutionBlock.of(state, training, "encoder1", architecture.inputChannels(), features);
    decoder2Upsampling =
        Upsampling.of(
            state, training, "decoder2", widths.getFirst(), features, architecture.stem());
    decoder2 =
        FullResolutionBlock.of(state, training, "decoder2.decoder_block.0", features, features);
    int classes = architecture.classes();
    out1 = Head.of(state, training, "out1", features, classes);
    boolean supervised = state.names().contains("out2.conv.conv.weight");
    out2 = supervised ? Head.of(state, training, "out2", widths.get(0), classes) : null;
    out3 = supervised ? Head.of(state, training, "out3", widths.get(1), classes) : null;
  }

  private Stage encoderStage(Parameters state, int stage) {
    List<Integer> widths = architecture.widths();
    int inChannels = stage == 0 ? architecture.inputChannels() : widths.get(stage - 1);
    Extents stride = stage == 0 ? architecture.stem() : architecture.downsampling().get(stage - 1);
    PatchEmbedding embedding =
        PatchEmbedding.of(
            state,
            training,
            "unetr_pp_encoder.downsample_layers." + stage,
            inChannels,
            widths.get(stage),
            stride);
    String name = "unetr_pp_encoder.stages." + stage;
    int depth = architecture.encoderDepths().get(stage);
    int projected = architecture.projections().get(stage);
    return new Stage(name, embedding, blocks(state, name, stage, depth, projected));
  }

  private DecoderStage decoderStage(Parameters state, int stage) {
    List<Integer> widths = architecture.widths();
    String name = "decoder" + (stage + 3);
    Upsampling upsampling =
        Upsampling.of(
            state,
            training,
            name,
            widths.get(stage + 1),
            widths.get(stage),
            architecture.downsampling().get(stage));
    return new DecoderStage(
        name,
        upsampling,
        blocks(
            state,
            name + ".decoder_block.0",
            stage,
            architecture.decoderDepth(),
            architecture.decoderProjection()));
  }

  private List<TransformerBlock> blocks(
      Parameters state, String name, int stage, int depth, int projected) {
    List<TransformerBlock> blocks = new ArrayList<>();
    for (int block = 0; block < depth; block++) {
      blocks.add(
          TransformerBlock.of(state, training, name + "." + block, architecture, stage, projected));
    }
    return List.copyOf(blocks);
  }

  public Architecture architecture() {
    return architecture;
  }

  /**
   * Segments a batch of patches.
   *
   * @param image (B, C, D, H, W), of the architecture's patch
   * @return (B, K, D, H, W), logits or probabilities, in the innermost memory scope
   * @throws IllegalArgumentException if the image has another shape
   * @throws IllegalStateException if the network is one for training
   */
  public Tensor forward(Tensor image, HeadOutput output) {
    if (training != null) {
      throw new IllegalStateException("a network for training predicts with all its heads");
    }
    return Tensor.keepingOnly(
        backend,
        () -> {
          Tensor x = channelsLast(image);
          FullResolutionPath path = fullResolutionPath(x);
          Tensor features = keepingOnly(() -> decode(encode(x)).getLast());
          return out1.shown(path.finish(features, output));
        });
  }

  /**
   * The logits of all three heads: full resolution, the first stage's grid, the second's.
   *
   * @param image (B, C, D, H, W), of the architecture's patch
   * @return three tensors (B, K, ...) in the innermost memory scope
   * @throws IllegalArgumentException if the image has another shape
   * @throws IllegalStateException if the network was built without the deep supervision heads
   */
  public List<Tensor> forwardWithDeepSupervision(Tensor image) {
    if (out2 == null || out3 == null) {
      throw new IllegalStateException("the network has no deep supervision heads");
    }
    Tensor x = channelsLast(image);
    if (training == null) {
      FullResolutionPath path = fullResolutionPath(x);
      List<Tensor> features = decode(encode(x));
      Tensor logits = out1.shown(path.finish(features.get(2), HeadOutput.LOGITS));
      return List.of(logits, out2.logits(features.get(2)), out3.logits(features.get(1)));
    }
    List<Tensor> features = decode(encode(x));
    Tensor full = fullResolution(x, features.get(2));
    return List.of(out1.logits(full), out2.logits(features.get(2)), out3.logits(features.get(1)));
  }

  private Tensor channelsLast(Tensor image) {
    Extents patch = architecture.patch();
    Shape expected =
        Shape.of(
            image.shape().extent(0),
            architecture.inputChannels(),
            patch.depth(),
            patch.height(),
            patch.width());
    Shape.require("image", image.shape(), expected);
    return NetworkBoxes.channelsLast(image);
  }

  /** The outputs of the four stages. */
  private List<Tensor> encode(Tensor x) {
    List<Tensor> outputs = new ArrayList<>();
    Tensor y = x;
    for (Stage stage : encoder) {
      Tensor input = y;
      y = keepingOnly(() -> stage.forward(input));
      outputs.add(y);
    }
    return outputs;
  }

  /** The outputs of decoder5, decoder4 and decoder3. */
  private List<Tensor> decode(List<Tensor> encoded) {
    List<Tensor> outputs = new ArrayList<>();
    Tensor y = encoded.getLast();
    for (int i = 0; i < decoder.size(); i++) {
      DecoderStage stage = decoder.get(i);
      Tensor input = y;
      Tensor skip = encoded.get(encoded.size() - 2 - i);
      y = keepingOnly(() -> stage.forward(input, skip));
      outputs.add(y);
    }
    return outputs;
  }

  /** Begins the convolutional path in evaluation: encoder1, decoder2 and the head. */
  private FullResolutionPath fullResolutionPath(Tensor x) {
    return NetworkBoxes.fullResolution(
        x,
        new FullResolutionParameters(
            "decoder2",
            encoder1.parameters(),
            decoder2Upsampling.parameters(),
            decoder2.parameters(),
            out1.parameters()));
  }

  /**
   * The convolutional path in training: encoder1 on the image, added to the upsampled features,
   * decoder2.
   */
  private Tensor fullResolution(Tensor x, Tensor features) {
    Tensor y = decoder2.forward(decoder2Upsampling.forward(features, encoder1.forward(x)));
    Shown.show("decoder2", y);
    return y; // (B, D, H, W, feature size)
  }

  /** Releases what a computation needed besides its result, unless a backward pass needs it. */
  private Tensor keepingOnly(Supplier<Tensor> computation) {
    return training == null ? Tensor.keepingOnly(backend, computation) : computation.get();
  }
}
