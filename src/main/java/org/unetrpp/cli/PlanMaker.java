package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.unetrpp.dataset.CaseFingerprint;
import org.unetrpp.dataset.CaseWorkers;
import org.unetrpp.dataset.DatasetFolder;
import org.unetrpp.dataset.DatasetLabel;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.dataset.IntegrityCheck;
import org.unetrpp.dataset.Problem;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.Folds;
import org.unetrpp.planning.ImportedPlan;
import org.unetrpp.planning.PlanImport;
import org.unetrpp.planning.PlanOptions;
import org.unetrpp.planning.Planner;
import org.unetrpp.planning.TrainingMemory;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.recipe.PublishedRecipe;

/**
 * Checks a data set and plans a training on it.
 *
 * @param console where problems and progress go
 * @param threads that read cases
 * @param options what a person decides instead of the planner
 */
record PlanMaker(Console console, int threads, PlanOptions options) {
  /**
   * A plan and what it was made of.
   *
   * @param cases how many the data set has
   */
  record Made(TrainingPlan plan, int cases) {}

  /**
   * Files of the published planner that count instead of what the data set would give.
   *
   * @param plans a plan; null to make one
   * @param splits divisions of the cases; null to make them
   * @param properties a fingerprint; null to take the data set's
   */
  record Imports(@Nullable Path plans, @Nullable Path splits, @Nullable Path properties) {
    /** Takes everything from the data set. */
    static final Imports NONE = new Imports(null, null, null);
  }

  /** A data set that was checked. */
  private record Checked(DatasetFolder folder, IntegrityCheck.Report report) {
    List<String> ids() {
      return report.cases().stream().map(CaseFingerprint::id).toList();
    }
  }

  /**
   * Plans with the planner or by an imported plan.
   *
   * @param dataset the folder of images and labels
   * @param named gives its channels and labels the names a person chose
   * @param planFile where the plan will lie
   * @throws InvalidFileException if the data set has problems, which are told, or an imported file
   *     is damaged or is one of other data
   */
  Made plan(Path dataset, UnaryOperator<DatasetFolder> named, Path planFile, Imports imports)
      throws IOException {
    Checked checked = check(named.apply(DatasetFolder.open(dataset)));
    List<DatasetLabel> labels = checked.report.labels();
    String folder = datasetFrom(dataset, planFile);
    String name = checked.folder.name();
    List<Fold> folds = folds(imports, checked, Folds.of(checked.ids()));
    TrainingPlan plan;
    if (imports.plans == null) {
      plan =
          Planner.plan(name, folder, fingerprint(imports, checked), labels, checked.ids(), options)
              .withFolds(folds);
    } else {
      ImportedPlan imported = imported(imports.plans, imports, checked.folder, labels);
      plan = Planner.imported(name, folder, imported, labels, folds, options);
      warnOfMemory(plan);
    }
    return new Made(plan, checked.ids().size());
  }

  /**
   * Plans by a recipe.
   *
   * @param dataset the data set in any of the published layouts
   * @param corrected whether the recipe's corrections count
   * @throws InvalidFileException as above, or if the data set is not the recipe's
   */
  Made plan(PublishedRecipe recipe, boolean corrected, Path dataset, Path planFile, Imports imports)
      throws IOException {
    Path folder = recipe.folders().locate(dataset);
    DatasetFolder opened = DatasetFolder.open(folder);
    requireData(recipe, opened);
    Checked checked =
        check(opened.withChannels(recipe.channelNames()).withLabels(recipe.datasetLabels()));
    TrainingPlan plan =
        recipe.plan(
            datasetFrom(folder, planFile),
            preprocessing(recipe, imports, checked),
            imports.splits == null
                ? recipeFolds(recipe, corrected, folder, checked.ids())
                : folds(imports, checked, List.of()),
            options,
            corrected);
    warnOfMemory(plan);
    return new Made(plan, checked.ids().size());
  }

  private static PreprocessingPlan preprocessing(
      PublishedRecipe recipe, Imports imports, Checked checked) throws IOException {
    List<DatasetLabel> labels = recipe.datasetLabels();
    if (imports.plans != null) {
      return imported(imports.plans, imports, checked.folder, labels).preprocessing();
    }
    Optional<PreprocessingPlan> published = recipe.preprocessing();
    return published.isPresent()
        ? published.get()
        : recipe.preprocessing(Planner.preprocessing(fingerprint(imports, checked), labels));
  }

  private static void requireData(PublishedRecipe recipe, DatasetFolder folder)
      throws InvalidFileException {
    int channels = folder.channels().size();
    if (channels != recipe.channels().size()) {
      throw new InvalidFileException(
          folder.declaration(),
          "%d channel%s (%s), but recipe %s needs %d: %s"
              .formatted(
                  channels,
                  channels == 1 ? "" : "s",
                  String.join(", ", folder.channels()),
                  recipe.name(),
                  recipe.channels().size(),
                  String.join(", ", recipe.channelNames())));
    }
    List<Integer> known = values(recipe.datasetLabels());
    List<Integer> declared = values(folder.labels());
    if (!declared.isEmpty() && !declared.equals(known)) {
      throw new InvalidFileException(
          folder.declaration(),
          "labels %s, but recipe %s has %s (%s): give them these values, or plan without --recipe"
              .formatted(declared, recipe.name(), known, names(recipe)));
    }
  }

  private static String names(PublishedRecipe recipe) {
    return recipe.labels().stream()
        .skip(1)
        .map(label -> label.value() + " " + label.name())
        .collect(Collectors.joining(", "));
  }

  private static List<Integer> values(List<DatasetLabel> labels) {
    return labels.stream().map(DatasetLabel::value).toList();
  }

  private List<Fold> recipeFolds(
      PublishedRecipe recipe, boolean corrected, Path folder, List<String> ids)
      throws InvalidFileException {
    List<Fold> folds;
    try {
      folds = recipe.folds(ids, corrected);
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(
          folder,
          ("%s; give the cases their published names, "
                  + "or divide those there are into folds with --corrected")
              .formatted(e.getMessage()),
          e);
    }
    if (!corrected && !recipe.split().isEmpty()) {
      warnOfOthers(recipe.split(), folds.getFirst(), ids);
    }
    return folds;
  }

  private void warnOfOthers(PublishedRecipe.Split split, Fold fold, List<String> ids) {
    int used = fold.training().size() + fold.validation().size();
    int listed = split.training().size() + split.validation().size();
    if (used < listed) {
      console.warn(
          "%d of the %d published training cases are there, and %d of the %d for validation"
              .formatted(
                  fold.training().size(),
                  split.training().size(),
                  fold.validation().size(),
                  split.validation().size()));
    }
    if (ids.size() > used) {
      Set<String> others = new HashSet<>(ids);
      fold.training().forEach(others::remove);
      fold.validation().forEach(others::remove);
      console.warn(
          "%d cases are in neither published list and are left out, such as %s"
              .formatted(others.size(), others.stream().sorted().findFirst().orElseThrow()));
    }
  }

  /** Recipes and imported plans stay as they are, whatever the machine. */
  private void warnOfMemory(TrainingPlan plan) {
    int batch = plan.schedule().batchSize();
    long needed = TrainingMemory.estimateBytes(plan.architecture(), batch);
    if (needed > options.maxBytes()) {
      console.warn(
          "a training step takes about %s, more than %s; --batch-size and --patch make it smaller"
              .formatted(MemorySize.text(needed), MemorySize.text(options.maxBytes())));
    }
  }

  private static List<Fold> folds(Imports imports, Checked checked, List<Fold> own)
      throws IOException {
    if (imports.splits == null) {
      return own;
    }
    try {
      return Folds.among(reader().splits(imports.splits), checked.ids());
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(
          imports.splits, e.getMessage() + "; leave out --splits to divide those anew", e);
    }
  }

  private static Fingerprint fingerprint(Imports imports, Checked checked) throws IOException {
    List<String> channels = checked.folder.channels();
    if (imports.properties == null) {
      return Fingerprint.of(channels, checked.report.cases());
    }
    Fingerprint fingerprint = reader().properties(imports.properties);
    requireChannels(imports.properties, fingerprint.channels(), checked.folder);
    return fingerprint;
  }

  private static void requireChannels(Path path, List<String> named, DatasetFolder folder)
      throws InvalidFileException {
    if (named.size() != folder.channels().size()) {
      throw new InvalidFileException(
          path,
          "has channels %s, but %s has %s".formatted(named, folder.folder(), folder.channels()));
    }
  }

  private static ImportedPlan imported(
      Path plans, Imports imports, DatasetFolder folder, List<DatasetLabel> labels)
      throws IOException {
    ImportedPlan imported = reader().plan(plans, imports.properties);
    requireChannels(
        plans,
        imported.preprocessing().channels().stream().map(ChannelPlan::name).toList(),
        folder);
    if (!imported.labelValues().equals(values(labels))) {
      throw new InvalidFileException(
          plans,
          "has labels %s, but %s has %s"
              .formatted(imported.labelValues(), folder.folder(), values(labels)));
    }
    return imported;
  }

  private static PlanImport reader() {
    return ServiceLoader.load(PlanImport.class)
        .findFirst()
        .orElseThrow(() ->
            new CommandFailedException(
                "this build cannot read pickles: the module weights-converter is not in it"));
  }

  private Checked check(DatasetFolder folder) throws InvalidFileException {
    try (CaseWorkers workers =
        CaseWorkers.of(
            threads,
            IntegrityCheck.caseBytes(folder),
            Interruption::requested,
            (stage, done, total) -> console.progress(stage, done, total))) {
      IntegrityCheck.Report report = IntegrityCheck.run(folder, workers);
      console.clearBar();
      for (Problem problem : report.problems()) {
        if (problem.isError()) {
          console.error(problem.toString());
        } else {
          console.warn(problem.toString());
        }
      }
      int errors = report.errors().size();
      if (errors > 0) {
        throw new InvalidFileException(
            folder.folder(), "%d problem%s".formatted(errors, errors == 1 ? "" : "s"));
      }
      return new Checked(folder, report);
    }
  }

  /** The data set's folder, relative to the plan where it lies beside or below it. */
  private static String datasetFrom(Path dataset, Path plan) {
    Path folder = dataset.toAbsolutePath().normalize();
    Path parent = plan.toAbsolutePath().normalize().getParent();
    return parent != null && folder.startsWith(parent)
        ? parent.relativize(folder).toString()
        : folder.toString();
  }
}
