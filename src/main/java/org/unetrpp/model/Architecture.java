package org.unetrpp.model;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.unetrpp.grid.Extents;

/**
 * All that makes one UNETR++ network differ from another (Shaker et al. 2024, figure 2). Every
 * patch that the strides divide and every number of channels and classes is possible; the published
 * networks are {@link #published}.
 *
 * @param inputChannels image channels, such as one for CT or four for the MRI of a glioma
 * @param classes labels including background
 * @param patch the network's input in voxels
 * @param stem kernel and stride of the first patch embedding and of the last upsampling
 * @param downsampling kernel and stride of the three embeddings between the encoder's stages
 * @param widths channels of the four stages
 * @param encoderDepths transformer blocks of the four encoder stages
 * @param decoderDepth transformer blocks of each of the three decoder stages
 * @param projections projected tokens P of the four encoder stages
 * @param decoderProjection projected tokens P of the decoder's stages
 * @param featureSize channels at full resolution
 * @param heads attention heads
 * @param tokenProjection how tokens are projected
 * @param fusion how the two attention branches are joined
 * @param residualConvolutions residual convolution blocks after the attention of each transformer
 *     block: one or two
 * @param attentionDropout dropout of the attention maps in training
 * @param channelDropout dropout of whole channels before a block's last convolution in training
 */
public record Architecture(
    int inputChannels,
    int classes,
    Extents patch,
    Extents stem,
    List<Extents> downsampling,
    List<Integer> widths,
    List<Integer> encoderDepths,
    int decoderDepth,
    List<Integer> projections,
    int decoderProjection,
    int featureSize,
    int heads,
    TokenProjection tokenProjection,
    Fusion fusion,
    int residualConvolutions,
    double attentionDropout,
    double channelDropout) {
  /** Encoder stages; the decoder has one less and the full-resolution step. */
  public static final int STAGES = 4;

  private static final List<Extents> HALVING =
      List.of(Extents.cube(2), Extents.cube(2), Extents.cube(2));

  private static final Architecture SYNAPSE =
      new Architecture(
          1,
          14,
          new Extents(64, 128, 128),
          new Extents(2, 4, 4),
          HALVING,
          List.of(32, 64, 128, 256),
          List.of(3, 3, 3, 3),
          3,
          List.of(64, 64, 64, 32),
          64,
          16,
          4,
          TokenProjection.SHARED_LINEAR,
          Fusion.CONCATENATE,
          1,
          0.15,
          0.1);

  private static final Architecture ACDC =
      new Architecture(
          1,
          4,
          new Extents(16, 160, 160),
          new Extents(1, 4, 4),
          HALVING,
          List.of(32, 64, 128, 256),
          List.of(3, 3, 3, 3),
          3,
          List.of(64, 64, 64, 32),
          64,
          16,
          4,
          TokenProjection.SEPARATE_LINEAR,
          Fusion.CONCATENATE,
          2,
          0.1,
          0.1);

  private static final Architecture TUMOR =
      new Architecture(
          4,
          4,
          Extents.cube(128),
          Extents.cube(4),
          HALVING,
          List.of(32, 64, 128, 256),
          List.of(3, 3, 3, 3),
          3,
          List.of(64, 64, 64, 32),
          64,
          16,
          4,
          TokenProjection.SHARED_MATRIX,
          Fusion.SUM,
          1,
          0.1,
          0.1);

  private static final Map<String, Architecture> PUBLISHED =
      Map.of(
          "synapse", SYNAPSE,
          "btcv", SYNAPSE.withPatch(Extents.cube(96)),
          "acdc", ACDC,
          "lung", ACDC.withPatch(new Extents(32, 192, 192)).withClasses(2),
          "tumor", TUMOR);

  public Architecture {
    downsampling = List.copyOf(downsampling);
    widths = List.copyOf(widths);
    encoderDepths = List.copyOf(encoderDepths);
    projections = List.copyOf(projections);
    requireLength("downsampling", downsampling, STAGES - 1);
    requireLength("widths", widths, STAGES);
    requireLength("encoderDepths", encoderDepths, STAGES);
    requireLength("projections", projections, STAGES);
    requirePositive("inputChannels", inputChannels);
    requirePositive("decoderDepth", decoderDepth);
    requirePositive("decoderProjection", decoderProjection);
    requirePositive("featureSize", featureSize);
    requirePositive("heads", heads);
    if (classes < 2) {
      throw new IllegalArgumentException("classes is " + classes + ", expected 2 or more");
    }
    for (int stage = 0; stage < STAGES; stage++) {
      requirePositive("encoderDepths", encoderDepths.get(stage));
      requirePositive("projections", projections.get(stage));
      int width = widths.get(stage);
      int groups = stage == 0 ? inputChannels : widths.get(stage - 1);
      if (width <= 0 || width % heads != 0 || width % 2 != 0 || width % groups != 0) {
        throw new IllegalArgumentException(
            "width %d of stage %d is not a multiple of 2, of %d heads and of %d groups"
                .formatted(width, stage, heads, groups));
      }
    }
    if (residualConvolutions < 1 || residualConvolutions > 2) {
      throw new IllegalArgumentException(
          "residualConvolutions is " + residualConvolutions + ", expected 1 or 2");
    }
    requireProbability("attentionDropout", attentionDropout);
    requireProbability("channelDropout", channelDropout);
    requireDivisible(patch, stem, downsampling);
  }

  /**
   * The network of a published recipe: {@code synapse}, {@code acdc}, {@code lung}, {@code tumor},
   * or {@code btcv}, which has synapse's form on patches of 96 voxels.
   */
  public static Optional<Architecture> published(String name) {
    return Optional.ofNullable(PUBLISHED.get(name));
  }

  /** The names of {@link #published}, in alphabetical order. */
  public static List<String> publishedNames() {
    return PUBLISHED.keySet().stream().sorted().toList();
  }

  /** The same network for another patch. */
  public Architecture withPatch(Extents newPatch) {
    return with(classes, newPatch, attentionDropout, channelDropout);
  }

  /** The same network for another number of classes, background included. */
  public Architecture withClasses(int newClasses) {
    return with(newClasses, patch, attentionDropout, channelDropout);
  }

  /**
   * The same network with other dropout in training.
   *
   * @throws IllegalArgumentException if a probability is not from 0 to below 1
   */
  public Architecture withDropout(double ofAttention, double ofChannels) {
    return with(classes, patch, ofAttention, ofChannels);
  }

  private Architecture with(
      int newClasses, Extents newPatch, double ofAttention, double ofChannels) {
    return new Architecture(
        inputChannels,
        newClasses,
        newPatch,
        stem,
        downsampling,
        widths,
        encoderDepths,
        decoderDepth,
        projections,
        decoderProjection,
        featureSize,
        heads,
        tokenProjection,
        fusion,
        residualConvolutions,
        ofAttention,
        ofChannels);
  }

  /** Tokens along the axes of an encoder stage, 0 to 3. */
  public Extents stageGrid(int stage) {
    Extents grid = patch.dividedBy(stem);
    for (Extents stride : downsampling.subList(0, stage)) {
      grid = grid.dividedBy(stride);
    }
    return grid;
  }

  /** Number of tokens of an encoder stage, 0 to 3. */
  public int stageTokens(int stage) {
    return Math.toIntExact(stageGrid(stage).voxels());
  }

  private static void requireLength(String name, List<?> list, int length) {
    if (list.size() != length) {
      throw new IllegalArgumentException(
          "%s has %d entries, expected %d".formatted(name, list.size(), length));
    }
  }

  private static void requirePositive(String name, int value) {
    if (value <= 0) {
      throw new IllegalArgumentException(name + " is " + value + ", expected more than 0");
    }
  }

  private static void requireProbability(String name, double value) {
    if (!(value >= 0 && value < 1)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected 0 to below 1");
    }
  }

  private static void requireDivisible(Extents patch, Extents stem, List<Extents> downsampling) {
    Extents stride = stem;
    for (Extents factor : downsampling) {
      stride = stride.times(factor);
    }
    for (int axis = 0; axis < 3; axis++) {
      int step = stride.along(axis);
      int extent = patch.along(axis);
      if (step <= 0 || extent <= 0 || extent % step != 0) {
        throw new IllegalArgumentException(
            "patch %s is not a positive multiple of the strides' product %s"
                .formatted(patch, stride));
      }
    }
  }
}
