package org.unetrpp.recipe;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.Strictness;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.unetrpp.augmentation.AugmentationSettings;
import org.unetrpp.dataset.DatasetLabel;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.inference.CompleteRecords;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.metrics.Convention;
import org.unetrpp.metrics.Structure;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.Folds;
import org.unetrpp.planning.Optimization;
import org.unetrpp.planning.PlanOptions;
import org.unetrpp.planning.Schedule;
import org.unetrpp.planning.TrainingPlan;

/**
 * All that the published code does for one data set: how it is laid out, prepared, trained on,
 * segmented and evaluated. The recipes are files beside the classes, {@code recipes/NAME.json}.
 *
 * @param formatVersion of the file
 * @param name for the command line
 * @param title for people
 * @param notes what a person should know who compares with the published figures
 * @param folders where the published scripts expect the data set
 * @param labels background first; the position is the network's class
 * @param channels of the images, in the order of the network's inputs
 * @param targetSpacing in millimeters; null to plan it from the data set as the published planner
 *     does, because the plan is not published
 * @param network the name of the {@link Architecture#published} network
 * @param patch of the network
 * @param deepSupervision the outputs of training and how much each counts
 * @param batchDice whether Dice is taken over the whole batch
 * @param augmentation how patches are transformed
 * @param optimization how parameters are updated
 * @param schedule how long
 * @param segmentation how volumes are segmented
 * @param evaluation what is evaluated and how
 * @param corrected what changes where the published code does other than it means to
 * @param published what the authors report; the latest source last
 * @param split the fixed lists of cases; empty where none are published
 */
public record PublishedRecipe(
    int formatVersion,
    String name,
    String title,
    List<String> notes,
    DatasetFolders folders,
    List<LabelClass> labels,
    List<Channel> channels,
    @Nullable Spacing targetSpacing,
    String network,
    Extents patch,
    List<Output> deepSupervision,
    boolean batchDice,
    AugmentationSettings augmentation,
    Optimization optimization,
    Schedule schedule,
    Segmentation segmentation,
    Evaluation evaluation,
    Correction corrected,
    List<PublishedFigures> published,
    Split split) {
  /** The format that this program reads. */
  public static final int FORMAT_VERSION = 1;

  private static final List<String> NAMES = List.of("synapse", "btcv", "acdc", "lung", "tumor");
  private static final Gson JSON =
      new GsonBuilder()
          .setStrictness(Strictness.STRICT)
          .registerTypeAdapterFactory(new CompleteRecords(CompleteRecords.Unknown.REFUSED))
          .create();

  /**
   * How a channel is normalized.
   *
   * @param name the modality
   * @param scheme how
   * @param useMask whether only what is not zero counts
   * @param statistics those of the published plan; null to take them from the data set, if the
   *     scheme needs any
   */
  public record Channel(
      String name,
      NormalizationScheme scheme,
      boolean useMask,
      @Nullable IntensityStatistics statistics) {
    private boolean isComplete() {
      return statistics != null || !scheme.needsStatistics();
    }
  }

  /**
   * An output of the network in training.
   *
   * @param stride how much coarser than the patch
   * @param weight of its loss, relative to the others
   */
  public record Output(Extents stride, double weight) {}

  /**
   * How volumes are segmented.
   *
   * @param step distance of windows as a fraction of the patch
   * @param mirroring whether windows are mirrored in 8 ways
   * @param postprocessing labels, or labels that count as one, of which only the largest component
   *     stays
   */
  public record Segmentation(double step, boolean mirroring, List<List<Integer>> postprocessing) {
    public Segmentation {
      postprocessing = postprocessing.stream().map(List::copyOf).toList();
      if (!(step > 0 && step <= 1)) {
        throw new IllegalArgumentException("step is " + step + ", expected above 0 and at most 1");
      }
    }
  }

  /**
   * What is evaluated.
   *
   * @param convention of distances and undefined values
   * @param structures that the mean is over
   */
  public record Evaluation(Convention convention, List<Structure> structures) {
    public Evaluation {
      structures = List.copyOf(structures);
    }
  }

  /**
   * What changes where the published code does other than it means to.
   *
   * @param sliceWise whether augmentation leaves the slice axis alone, by the patch that is trained
   * @param convention of the evaluation
   * @param structures names of those that are evaluated
   */
  public record Correction(boolean sliceWise, Convention convention, List<String> structures) {
    public Correction {
      structures = List.copyOf(structures);
    }
  }

  /**
   * The fixed lists of cases, which the published code takes for every fold.
   *
   * @param training identifiers of the cases trained on
   * @param validation identifiers of those held back
   */
  public record Split(List<String> training, List<String> validation) {
    public Split {
      training = List.copyOf(training);
      validation = List.copyOf(validation);
      if (training.isEmpty() != validation.isEmpty()) {
        throw new IllegalArgumentException("one list of cases is empty, expected both or none");
      }
      if (!training.isEmpty()) {
        Fold fold = new Fold(training, validation);
        if (fold.training().stream().anyMatch(Set.copyOf(validation)::contains)) {
          throw new IllegalArgumentException("a case is in both lists");
        }
      }
    }

    /** Whether no lists are published. */
    public boolean isEmpty() {
      return training.isEmpty();
    }
  }

  public PublishedRecipe {
    notes = List.copyOf(notes);
    labels = List.copyOf(labels);
    channels = List.copyOf(channels);
    deepSupervision = List.copyOf(deepSupervision);
    published = List.copyOf(published);
    if (formatVersion != FORMAT_VERSION) {
      throw new IllegalArgumentException(
          "formatVersion is %d, expected %d".formatted(formatVersion, FORMAT_VERSION));
    }
    Architecture architecture = architecture(network, patch);
    requireEqual("labels", labels.size(), architecture.classes());
    requireEqual("channels", channels.size(), architecture.inputChannels());
    requireOutputs(deepSupervision, architecture);
    requireKnown(labels, evaluation.structures(), corrected.structures());
  }

  private static Architecture architecture(String network, Extents patch) {
    return Architecture.published(network)
        .orElseThrow(() ->
            new IllegalArgumentException(
                "network '%s', expected one of %s"
                    .formatted(network, Architecture.publishedNames())))
        .withPatch(patch);
  }

  private static void requireEqual(String what, int found, int expected) {
    if (found != expected) {
      throw new IllegalArgumentException(
          "%d %s, but the network has %d".formatted(found, what, expected));
    }
  }

  /** The engine trains on these outputs; a file that says others would be wrong about it. */
  private static void requireOutputs(List<Output> outputs, Architecture architecture) {
    List<Output> trained = new ArrayList<>();
    Extents first = architecture.stem();
    Extents second = first.times(architecture.downsampling().getFirst());
    for (Extents stride : List.of(Extents.cube(1), first, second)) {
      trained.add(new Output(stride, 4 >> trained.size()));
    }
    if (!outputs.equals(trained)) {
      throw new IllegalArgumentException(
          "deepSupervision is %s, but the network trains on %s".formatted(outputs, trained));
    }
  }

  private static void requireKnown(
      List<LabelClass> labels, List<Structure> structures, List<String> corrected) {
    Set<Integer> values = new HashSet<>();
    labels.forEach(label -> values.add(label.value()));
    Set<String> names = new HashSet<>();
    for (Structure structure : structures) {
      if (!values.containsAll(structure.labels())) {
        throw new IllegalArgumentException(
            "structure %s has labels that are none of %s".formatted(structure, values));
      }
      names.add(structure.name());
    }
    if (!names.containsAll(corrected)) {
      throw new IllegalArgumentException(
          "corrected names %s, expected some of %s".formatted(corrected, names));
    }
  }

  /** The names of the recipes. */
  public static List<String> names() {
    return NAMES;
  }

  /** The recipe of a name. */
  public static Optional<PublishedRecipe> named(String name) {
    return NAMES.contains(name) ? Optional.of(read(name)) : Optional.empty();
  }

  private static PublishedRecipe read(String name) {
    String resource = "/org/unetrpp/recipes/" + name + ".json";
    try (InputStream in = PublishedRecipe.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException("this build has no " + resource);
      }
      return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Reads the text of a recipe.
   *
   * @throws IllegalArgumentException if it is no recipe, or what it says does not fit together
   */
  static PublishedRecipe parse(String json) {
    try {
      PublishedRecipe recipe = JSON.fromJson(json, PublishedRecipe.class);
      if (recipe == null) {
        throw new IllegalArgumentException("no recipe: the text is empty");
      }
      return recipe;
    } catch (JsonParseException e) {
      throw new IllegalArgumentException("no recipe: " + e.getMessage(), e);
    }
  }

  /** The network. */
  public Architecture architecture() {
    return architecture(network, patch);
  }

  /** The labels as those of a data set. */
  public List<DatasetLabel> datasetLabels() {
    return labels.stream().map(label -> new DatasetLabel(label.value(), label.name())).toList();
  }

  /** The names of the channels. */
  public List<String> channelNames() {
    return channels.stream().map(Channel::name).toList();
  }

  /** How images are prepared, as far as the recipe says; empty where it depends on the data set. */
  public Optional<PreprocessingPlan> preprocessing() {
    boolean complete = targetSpacing != null && channels.stream().allMatch(Channel::isComplete);
    return complete
        ? Optional.of(
            new PreprocessingPlan(
                channelPlans(List.of()), targetSpacing, AxisOrder.IDENTITY, SplineRule.PINNED))
        : Optional.empty();
  }

  /**
   * How images are prepared.
   *
   * @param planned what the published planner makes of the data set, which counts where the recipe
   *     says nothing
   */
  public PreprocessingPlan preprocessing(PreprocessingPlan planned) {
    return new PreprocessingPlan(
        channelPlans(planned.channels()),
        targetSpacing == null ? planned.targetSpacing() : targetSpacing,
        targetSpacing == null ? planned.transposeForward() : AxisOrder.IDENTITY,
        SplineRule.PINNED);
  }

  private List<ChannelPlan> channelPlans(List<ChannelPlan> planned) {
    List<ChannelPlan> plans = new ArrayList<>();
    for (int i = 0; i < channels.size(); i++) {
      Channel channel = channels.get(i);
      IntensityStatistics statistics =
          channel.isComplete() ? channel.statistics : planned.get(i).statistics();
      plans.add(new ChannelPlan(channel.name, channel.scheme, channel.useMask, statistics));
    }
    return plans;
  }

  /**
   * The divisions of a data set: the published one without the cases that are not there, or five
   * where none is published or the lists are corrected.
   *
   * @param ids of the cases
   * @throws IllegalArgumentException if one of the published lists has no case left
   */
  public List<Fold> folds(Collection<String> ids, boolean correctly) {
    return correctly || split.isEmpty()
        ? Folds.of(ids)
        : Folds.among(List.of(new Fold(split.training, split.validation)), ids);
  }

  /**
   * A training by this recipe.
   *
   * @param dataset its folder, as the plan names it
   * @param preprocessing what is done to images
   * @param folds divisions of its cases
   * @param options what a person decides instead; how much memory there is changes nothing
   * @param correctly whether by {@link #corrected}
   * @throws IllegalArgumentException if the patch asked for fits no network
   */
  public TrainingPlan plan(
      String dataset,
      PreprocessingPlan preprocessing,
      List<Fold> folds,
      PlanOptions options,
      boolean correctly) {
    return new TrainingPlan(
        TrainingPlan.FORMAT_VERSION,
        name,
        dataset,
        labels,
        preprocessing,
        options.patch() == null ? architecture() : architecture(network, options.patch()),
        batchDice,
        correctly ? AugmentationSettings.published(corrected.sliceWise) : augmentation,
        optimization,
        schedule.with(options),
        folds);
  }

  /**
   * What is evaluated.
   *
   * @param correctly whether by {@link #corrected}
   */
  public Evaluation evaluation(boolean correctly) {
    if (!correctly) {
      return evaluation;
    }
    List<Structure> structures =
        corrected.structures.stream()
            .flatMap(name -> evaluation.structures.stream().filter(s -> s.name().equals(name)))
            .toList();
    return new Evaluation(corrected.convention, structures);
  }
}
