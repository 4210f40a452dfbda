package org.unetrpp.planning;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.unetrpp.augmentation.AugmentationSettings;
import org.unetrpp.dataset.DatasetLabel;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;

/**
 * Makes a training plan of a fingerprint: spacing, order of axes and patch as the published planner
 * does, then a UNETR++ for that patch that fits the memory.
 */
public final class Planner {
  private static final int PUBLISHED_EPOCHS = 1000;
  private static final int SMALL_EPOCHS = 200;
  private static final int ITERATIONS = 250;
  private static final int VALIDATION_ITERATIONS = 50;
  private static final double FOREGROUND_SHARE = 0.33;
  private static final int SEED = 12345;
  private static final int PREFERRED_BATCH = 2;
  private static final double MASK_REDUCTION = 0.75;
  private static final double THICK_SLICES = 3;

  private final Fingerprint fingerprint;
  private final List<DatasetLabel> labels;
  private final PlanOptions options;
  private final PublishedPlanner published;
  private final PublishedPlanner.Stage stage;

  private Planner(Fingerprint fingerprint, List<DatasetLabel> labels, PlanOptions options) {
    this.fingerprint = fingerprint;
    this.labels = labels;
    this.options = options;
    this.published = new PublishedPlanner(fingerprint, labels.size());
    this.stage = published.fullResolution();
  }

  /**
   * Plans a training.
   *
   * @param name of the data set
   * @param dataset its folder, as the plan names it
   * @param labels by ascending value, background first
   * @param ids of the cases
   * @throws IllegalArgumentException if the patch asked for fits no network, or not even the
   *     smallest patch fits the memory
   */
  public static TrainingPlan plan(
      String name,
      String dataset,
      Fingerprint fingerprint,
      List<DatasetLabel> labels,
      Collection<String> ids,
      PlanOptions options) {
    return new Planner(fingerprint, labels, options).plan(name, dataset, Folds.of(ids));
  }

  /**
   * How the published planner would have images prepared.
   *
   * @param labels by ascending value, background first
   */
  public static PreprocessingPlan preprocessing(
      Fingerprint fingerprint, List<DatasetLabel> labels) {
    return new Planner(fingerprint, labels, PlanOptions.within(Long.MAX_VALUE)).preprocessing();
  }

  /**
   * A training by a plan that the published planner made: its preparation, patch, batch and
   * pooling, and the rest as published. A plan for the patch, channels and classes of a published
   * network gets that network.
   *
   * @param name of the data set
   * @param dataset its folder, as the plan names it
   * @param labels by ascending value, background first, with the plan's values
   * @throws IllegalArgumentException if the patch asked for fits no network
   */
  public static TrainingPlan imported(
      String name,
      String dataset,
      ImportedPlan imported,
      List<DatasetLabel> labels,
      List<Fold> folds,
      PlanOptions options) {
    int channels = imported.preprocessing().channels().size();
    Extents patch = options.patch() == null ? imported.patch() : options.patch();
    Architecture network =
        Architecture.publishedNames().stream()
            .flatMap(published -> Architecture.published(published).stream())
            .filter(published ->
                published.inputChannels() == channels
                    && published.classes() == labels.size()
                    && published.patch().equals(patch))
            .findFirst()
            .orElseGet(
                () -> network(NetworkShape.of(patch, imported.pooling()), patch, channels, labels));
    return new TrainingPlan(
        TrainingPlan.FORMAT_VERSION,
        name,
        dataset,
        classes(labels),
        imported.preprocessing(),
        network,
        imported.batchDice(),
        AugmentationSettings.published(imported.sliceWise()),
        Optimization.PUBLISHED,
        schedule(PUBLISHED_EPOCHS, imported.batchSize()).with(options),
        folds);
  }

  private static List<LabelClass> classes(List<DatasetLabel> labels) {
    return labels.stream().map(label -> LabelClass.of(label.value(), label.name())).toList();
  }

  private TrainingPlan plan(String name, String dataset, List<Fold> folds) {
    Fitted fitted = fitted();
    Extents patch = fitted.architecture.patch();
    int longest = Math.max(patch.depth(), Math.max(patch.height(), patch.width()));
    boolean sliceWise = (double) longest / patch.depth() > THICK_SLICES;
    boolean small = patch.voxels() < NetworkShape.SMALL_PATCH;
    return new TrainingPlan(
        TrainingPlan.FORMAT_VERSION,
        name,
        dataset,
        classes(labels),
        preprocessing(),
        fitted.architecture,
        published.lowResolution().isPresent(),
        AugmentationSettings.published(sliceWise),
        Optimization.PUBLISHED,
        schedule(small ? SMALL_EPOCHS : PUBLISHED_EPOCHS, fitted.batch).with(options),
        folds);
  }

  private static Schedule schedule(int epochs, int batchSize) {
    return new Schedule(
        epochs, ITERATIONS, VALIDATION_ITERATIONS, batchSize, FOREGROUND_SHARE, SEED);
  }

  private PreprocessingPlan preprocessing() {
    double[] reductions =
        fingerprint.sizeReductions().stream().mapToDouble(Double::doubleValue).toArray();
    boolean muchIsCropped = PublishedPlanner.percentile(reductions, 50) < MASK_REDUCTION;
    List<ChannelPlan> channels = new ArrayList<>();
    for (int channel = 0; channel < fingerprint.channels().size(); channel++) {
      String name = fingerprint.channels().get(channel);
      IntensityStatistics statistics = fingerprint.statistics().get(channel).orElse(null);
      channels.add(
          new ChannelPlan(
              name,
              statistics == null ? NormalizationScheme.NON_CT : NormalizationScheme.CT,
              muchIsCropped && !name.contains("CT"),
              statistics));
    }
    return new PreprocessingPlan(
        channels, stage.spacing(), published.transposeForward(), SplineRule.PINNED);
  }

  /**
   * A network and a batch that fit the memory.
   *
   * @param batch its number of patches
   */
  private record Fitted(Architecture architecture, int batch) {
    long bytes() {
      return TrainingMemory.estimateBytes(architecture, batch);
    }
  }

  /** Takes patches from the batch down to two first, then voxels from the patch, then the last. */
  private Fitted fitted() {
    Architecture network = options.patch() == null ? network(stage.patch()) : chosen();
    Fitted fitted = new Fitted(network, options.batchSize().orElse(stage.batch()));
    while (fitted.bytes() > options.maxBytes()) {
      fitted = smaller(fitted);
    }
    return fitted;
  }

  private Fitted smaller(Fitted fitted) {
    boolean batchIsFree = options.batchSize().isEmpty();
    if (batchIsFree && fitted.batch > PREFERRED_BATCH) {
      return new Fitted(fitted.architecture, fitted.batch - 1);
    }
    Extents patch = fitted.architecture.patch();
    Extents less = options.patch() == null ? smallerPatch(patch) : patch;
    if (less.voxels() < patch.voxels()) {
      return new Fitted(network(less), fitted.batch);
    }
    if (batchIsFree && fitted.batch > 1) {
      return new Fitted(fitted.architecture, fitted.batch - 1);
    }
    throw new IllegalArgumentException(
        "a training step with %d patches of %s takes about %d MiB, more than the %d MiB allowed"
            .formatted(fitted.batch, patch, fitted.bytes() >> 20, options.maxBytes() >> 20));
  }

  /** The patch without a stride's worth of the axis that covers most of a typical case. */
  private Extents smallerPatch(Extents patch) {
    Extents median = stage.medianShape();
    Extents smallest = patch;
    double most = 0;
    for (int axis = 0; axis < 3; axis++) {
      double share = (double) patch.along(axis) / median.along(axis);
      int[] reduced = patch.toArray();
      reduced[axis] -= NetworkShape.of(patch, stage.spacing()).divisor().along(axis);
      if (share >= most && reduced[axis] >= PublishedPlanner.SMALLEST_EDGE) {
        Extents rounded = rounded(Extents.of(reduced));
        if (rounded.voxels() < patch.voxels()) {
          most = share;
          smallest = rounded;
        }
      }
    }
    return smallest;
  }

  private Extents rounded(Extents patch) {
    return NetworkShape.of(patch, stage.spacing()).roundedUp(patch);
  }

  private Architecture network(Extents patch) {
    Spacing spacing = stage.spacing();
    NetworkShape shape = NetworkShape.of(patch, spacing);
    return shape.network(shape.roundedUp(patch), fingerprint.channels().size(), labels.size());
  }

  /** The network of the patch that a person asks for. */
  private Architecture chosen() {
    Extents patch = options.patch();
    if (patch == null) {
      throw new IllegalStateException("no patch was asked for");
    }
    return network(
        NetworkShape.of(patch, stage.spacing()), patch, fingerprint.channels().size(), labels);
  }

  /** The network of a patch that must be as it is. */
  private static Architecture network(
      NetworkShape shape, Extents patch, int channels, List<DatasetLabel> labels) {
    if (!patch.divisibleBy(shape.divisor())) {
      throw new IllegalArgumentException(
          "patch %s, expected a multiple of %s such as %s"
              .formatted(patch, shape.divisor(), shape.roundedUp(patch)));
    }
    return shape.network(patch, channels, labels.size());
  }
}
