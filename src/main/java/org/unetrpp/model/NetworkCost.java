package org.unetrpp.model;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.unetrpp.grid.Extents;

/**
 * Parameters and multiply-adds of a network by part, for a batch of one.
 *
 * <p>A multiply-add counts as one. The counting rules are those of the counter that the published
 * figures come from (fvcore): convolutions, linear layers and matrix products in full; affine norms
 * 5 and others 4 for each element, except batch normalization in evaluation mode, 2; additions,
 * products with a scale, softmax, LeakyReLU, dropout, Euclidean normalization and biases nothing.
 * That counter reads the cost of an {@code EF} projection from a print-out of four significant
 * digits; {@link Rounding#EXACT} does not.
 */
public final class NetworkCost {
  /** What a multiply-add is spent on. */
  public enum Operator {
    CONVOLUTION,
    LINEAR,
    MATRIX_PRODUCT,
    TOKEN_PROJECTION_MATRIX,
    INSTANCE_NORM,
    LAYER_NORM,
    BATCH_NORM,
    GROUP_NORM
  }

  /** Whether projections with a bare matrix are counted as the published counter does. */
  public enum Rounding {
    AS_PUBLISHED,
    EXACT
  }

  /** Whether batch normalization computes its statistics. */
  public enum Mode {
    EVALUATION,
    TRAINING
  }

  private final Architecture architecture;
  private final Rounding rounding;
  private final Mode mode;
  private final SequencedMap<String, Map<Operator, Long>> parts = new LinkedHashMap<>();
  private Map<Operator, Long> part = new EnumMap<>(Operator.class);

  private NetworkCost(Architecture architecture, Rounding rounding, Mode mode) {
    this.architecture = architecture;
    this.rounding = rounding;
    this.mode = mode;
  }

  /**
   * Multiply-adds by part, {@code encoder} to {@code out3}, deep supervision heads included, and
   * within a part by operator.
   */
  public static SequencedMap<String, Map<Operator, Long>> multiplyAdds(
      Architecture architecture, Rounding rounding, Mode mode) {
    NetworkCost cost = new NetworkCost(architecture, rounding, mode);
    cost.count();
    return cost.parts;
  }

  /** Sum over the operators of each part. */
  public static SequencedMap<String, Long> multiplyAddsByPart(
      Architecture architecture, Rounding rounding, Mode mode) {
    SequencedMap<String, Long> sums = new LinkedHashMap<>();
    multiplyAdds(architecture, rounding, mode)
        .forEach((name, operators) ->
            sums.put(name, operators.values().stream().mapToLong(Long::longValue).sum()));
    return sums;
  }

  /** Trained values by part, {@code encoder} to {@code out3}; aliases count once. */
  public static SequencedMap<String, Long> parametersByPart(Architecture architecture) {
    SequencedMap<String, Long> sums = new LinkedHashMap<>();
    for (StateEntry entry : StateLayout.of(architecture)) {
      if (entry.role() == StateEntry.Role.PARAMETER && entry.aliasOf() == null) {
        String module = entry.name().substring(0, entry.name().indexOf('.'));
        sums.merge(module.replace("unetr_pp_", ""), entry.elements(), Long::sum);
      }
    }
    return sums;
  }

  private void count() {
    begin("encoder");
    int from = architecture.inputChannels();
    for (int stage = 0; stage < Architecture.STAGES; stage++) {
      int to = architecture.widths().get(stage);
      Extents stride =
          stage == 0 ? architecture.stem() : architecture.downsampling().get(stage - 1);
      long tokens = architecture.stageTokens(stage);
      add(Operator.CONVOLUTION, tokens * from * to * stride.voxels());
      add(Operator.GROUP_NORM, 5 * tokens * to);
      long depth = architecture.encoderDepths().get(stage);
      transformerBlocks(depth, stage, architecture.projections().get(stage));
      from = to;
    }
    fullResolutionBlock("encoder1", architecture.inputChannels());
    decoder();
    head("out1", architecture.patch().voxels(), architecture.featureSize());
    head("out2", architecture.stageTokens(0), architecture.widths().get(0));
    head("out3", architecture.stageTokens(1), architecture.widths().get(1));
  }

  private void decoder() {
    List<Integer> widths = architecture.widths();
    for (int stage = Architecture.STAGES - 2; stage >= 0; stage--) {
      begin("decoder" + (stage + 3));
      upsampling(
          architecture.stageTokens(stage + 1),
          widths.get(stage + 1),
          widths.get(stage),
          architecture.downsampling().get(stage));
      transformerBlocks(architecture.decoderDepth(), stage, architecture.decoderProjection());
    }
    int features = architecture.featureSize();
    fullResolutionBlock("decoder2", features);
    upsampling(architecture.stageTokens(0), widths.getFirst(), features, architecture.stem());
  }

  private void upsampling(long tokens, int from, int to, Extents stride) {
    add(Operator.CONVOLUTION, tokens * from * to * stride.voxels());
  }

  private void transformerBlocks(long count, int stage, long projected) {
    long channels = architecture.widths().get(stage);
    long tokens = architecture.stageTokens(stage);
    long headChannels = channels / architecture.heads();
    add(Operator.LAYER_NORM, count * 5 * tokens * channels);
    add(Operator.LINEAR, count * tokens * channels * 4 * channels);
    long projection = channels * tokens * projected;
    if (architecture.tokenProjection() == TokenProjection.SHARED_MATRIX) {
      add(Operator.TOKEN_PROJECTION_MATRIX, count * 2 * asCounted(projection));
    } else {
      add(Operator.LINEAR, count * 2 * projection);
    }
    add(
        Operator.MATRIX_PRODUCT,
        count * (2 * channels * headChannels * tokens + 2 * channels * tokens * projected));
    if (architecture.fusion() == Fusion.CONCATENATE) {
      add(Operator.LINEAR, count * 2 * (tokens * channels * (channels / 2)));
    }
    long convolutions = 2L * architecture.residualConvolutions();
    add(Operator.CONVOLUTION, count * convolutions * 27 * tokens * channels * channels);
    long perElement = mode == Mode.TRAINING ? 5 : 2;
    add(Operator.BATCH_NORM, count * convolutions * perElement * tokens * channels);
    add(Operator.CONVOLUTION, count * tokens * channels * channels);
  }

  /** The published counter prints twice the multiply-adds with four digits and halves that. */
  private long asCounted(long multiplyAdds) {
    if (rounding == Rounding.EXACT) {
      return multiplyAdds;
    }
    long operations = 2 * multiplyAdds;
    long unit = 1;
    while (operations / unit >= 10_000) {
      unit *= 10;
    }
    return Math.round((double) operations / unit) * unit / 2;
  }

  private void fullResolutionBlock(String name, long from) {
    begin(name);
    long voxels = architecture.patch().voxels();
    long features = architecture.featureSize();
    add(Operator.CONVOLUTION, 27 * voxels * features * (from + features));
    add(Operator.INSTANCE_NORM, 2 * 4 * voxels * features);
    if (from != features) {
      add(Operator.CONVOLUTION, voxels * from * features);
      add(Operator.INSTANCE_NORM, 4 * voxels * features);
    }
  }

  private void head(String name, long voxels, long channels) {
    begin(name);
    add(Operator.CONVOLUTION, voxels * channels * architecture.classes());
  }

  private void begin(String name) {
    part = new EnumMap<>(Operator.class);
    parts.put(name, part);
  }

  private void add(Operator operator, long multiplyAdds) {
    part.merge(operator, multiplyAdds, Long::sum);
  }
}
