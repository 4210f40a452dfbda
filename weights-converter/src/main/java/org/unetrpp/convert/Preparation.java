package org.unetrpp.convert;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.unetrpp.convert.TrainingPlan.Intensities;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;
import org.unetrpp.recipe.PublishedRecipe;

/**
 * How images are prepared for a converted network, and what its labels are called: from the side
 * file of the checkpoint, or from what is published about the data set.
 *
 * @param plan how images are prepared
 * @param labels one for each class, background first
 * @param assumption what had to be assumed for want of a side file, or empty
 */
record Preparation(PreprocessingPlan plan, List<LabelClass> labels, String assumption) {
  /**
   * The preparation of a checkpoint, by its side file if it has one.
   *
   * @throws IllegalArgumentException if the side file asks for a normalization that is unknown, or
   *     whose statistics it lacks
   */
  static Preparation of(ConvertedCheckpoint checkpoint) {
    return of(checkpoint.architecture(), checkpoint.variant().orElse(""), checkpoint.plan());
  }

  /**
   * The preparation for a network.
   *
   * @param variant the published recipe it is, or empty
   * @param trained what the side file says, if there is one
   * @throws IllegalArgumentException as above
   */
  static Preparation of(Architecture architecture, String variant, Optional<TrainingPlan> trained) {
    List<LabelClass> labels = labels(variant, architecture.classes());
    if (trained.isPresent()) {
      return new Preparation(plan(trained.get()), labels, "");
    }
    Optional<PreprocessingPlan> published =
        PublishedRecipe.named(variant).flatMap(PublishedRecipe::preprocessing);
    if (published.isPresent()) {
      return new Preparation(published.get(), labels, "no side file: " + assumed(variant));
    }
    return new Preparation(
        ownSpacing(architecture.inputChannels()),
        labels,
        "no side file: images keep their own spacing and are normalized by their own mean and "
            + "deviation; segmentations are only right if training did the same");
  }

  private static String assumed(String variant) {
    return variant.equals("tumor")
        ? "1 mm voxels and normalization within the brain assumed"
        : "spacing and intensities are those of the published plan";
  }

  /** How images are prepared by a plan. */
  static PreprocessingPlan plan(TrainingPlan trained) {
    List<ChannelPlan> channels = new ArrayList<>();
    for (int i = 0; i < trained.modalities().size(); i++) {
      NormalizationScheme scheme = scheme(trained.normalizations().get(i));
      Optional<IntensityStatistics> statistics =
          i < trained.intensities().size()
              ? Optional.of(statistics(trained.intensities().get(i)))
              : Optional.empty();
      channels.add(
          new ChannelPlan(
              trained.modalities().get(i),
              scheme,
              trained.useMask().get(i),
              scheme.needsStatistics() ? statistics.orElse(null) : null));
    }
    List<Integer> axes = trained.transposeForward();
    return new PreprocessingPlan(
        channels,
        trained.spacing(),
        new AxisOrder(axes.get(0), axes.get(1), axes.get(2)),
        SplineRule.PINNED);
  }

  private static NormalizationScheme scheme(String name) {
    return switch (name) {
      case "CT" -> NormalizationScheme.CT;
      case "CT2" -> NormalizationScheme.CT2;
      case "noNorm" ->
          throw new IllegalArgumentException(
              "normalization scheme noNorm is not supported, expected CT, CT2 or another modality");
      default -> NormalizationScheme.NON_CT;
    };
  }

  static IntensityStatistics statistics(Intensities of) {
    return new IntensityStatistics(
        of.mean(), of.standardDeviation(), of.percentile005(), of.percentile995());
  }

  private static PreprocessingPlan ownSpacing(int channels) {
    return new PreprocessingPlan(
        IntStream.range(0, channels).mapToObj(i -> nonCt("channel " + i, false)).toList(),
        null,
        AxisOrder.IDENTITY,
        SplineRule.PINNED);
  }

  private static ChannelPlan nonCt(String name, boolean useMask) {
    return new ChannelPlan(name, NormalizationScheme.NON_CT, useMask, null);
  }

  /** The data set's labels where the number of classes is its own, else numbers. */
  private static List<LabelClass> labels(String variant, int classes) {
    return PublishedRecipe.named(variant)
        .map(PublishedRecipe::labels)
        .filter(labels -> labels.size() == classes)
        .orElseGet(
            () -> LabelClass.of(IntStream.range(1, classes).mapToObj(i -> "label " + i).toList()));
  }
}
