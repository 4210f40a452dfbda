package org.unetrpp.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.engine.Engine;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.metrics.CaseEvaluation;
import org.unetrpp.metrics.Convention;
import org.unetrpp.metrics.Evaluation;
import org.unetrpp.metrics.Settings;
import org.unetrpp.metrics.Structure;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.report.EvaluationPage.Entry;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Label volumes against their references. */
@Command(
    name = "evaluate",
    description =
        "Compares label volumes with their references, by case and class: Dice, HD95, volumes. "
            + "Up to 5 cases are shown one by one, more with -v.",
    mixinStandardHelpOptions = true)
final class EvaluateCommand extends Subcommand {
  /** What a case takes at most: one file's voxels as floats, labels, runs and distances. */
  private static final long BYTES_PER_VOXEL = 12;

  /** So many cases are shown one by one without being asked. */
  private static final int FEW_CASES = 5;

  @Spec private CommandSpec command = CommandSpec.create();
  @Mixin private RecipeOption recipe = new RecipeOption();

  @Option(names = "--corrected", description = RecipeOption.CORRECTED)
  private boolean corrected;

  @Option(
      names = "--predictions",
      required = true,
      paramLabel = "P",
      description = "Labels to test: a file, or a folder of CASE.nii.gz or CASE_seg.nii.gz.")
  private Path predictions = Path.of("");

  @Option(
      names = "--labels",
      required = true,
      paramLabel = "L",
      description = "Labels to compare with: a file, or a folder of the same cases.")
  private Path labels = Path.of("");

  private @Nullable List<Structure> classes;

  @Option(
      names = "--classes",
      paramLabel = "1=liver,2=spleen",
      description = "Classes to evaluate (default, without regions: every label found but 0).")
  void setClasses(String text) {
    classes = parsed(() -> StructureText.classes(text));
  }

  @Option(names = "--model", paramLabel = "M", description = "Evaluate the classes of this model.")
  private @Nullable Path model;

  private List<Structure> regions = List.of();

  @Option(
      names = "--regions",
      paramLabel = "WT=1+2+3,ET=3",
      description = "Labels to evaluate together.")
  void setRegions(String text) {
    regions = parsed(() -> StructureText.regions(text));
  }

  @Option(
      names = "--tolerance",
      paramLabel = "1.0",
      description =
          "Distance that surface Dice tolerates (default: 1), in mm, or voxels with --voxels.",
      defaultValue = "1")
  private double tolerance;

  @Option(
      names = "--voxels",
      description =
          "Count as the published scripts do: distances in voxels; Dice is 1 where both volumes "
              + "lack a class, HD95 0 where any does (default: mm; such cases do not count).")
  private boolean voxels;

  @Option(names = "--csv", paramLabel = "F", description = "Write a line for each case and class.")
  private @Nullable Path csv;

  @Option(
      names = "--region-csv",
      paramLabel = "F",
      description = "Write Dice as the published region-based evaluation does: summary.csv.")
  private @Nullable Path regionCsv;

  @Option(names = "--json", paramLabel = "F", description = "Write all of it for programs.")
  private @Nullable Path json;

  @Mixin private ReportOptions page = new ReportOptions();

  private int threads = Engine.defaultThreads();

  @Option(
      names = "--threads",
      paramLabel = "N",
      description =
          "Processors to use, for cases side by side as memory allows (default: all of them).")
  void setThreads(int count) {
    if (count < 1) {
      throw usage("--threads is " + count + ", expected 1 or more");
    }
    threads = count;
  }

  /** What became of a case: an evaluation or a failure. */
  private record Outcome(
      LabelPair files, @Nullable CaseEvaluation evaluation, @Nullable Exception failure) {}

  @Override
  public Integer call() throws IOException {
    recipe.requireFor("--corrected");
    recipe.refuseBeside("--classes", "--model", "--regions", "--voxels");
    Settings settings = settings();
    List<LabelClass> named = named();
    List<Structure> structures = structures(named);
    prepareTargets();
    Map<String, Path> images = page.findImages();
    LabelPairs cases = LabelPairs.find(predictions, labels);
    List<Outcome> outcomes = evaluate(cases.pairs(), structures, settings);

    List<Exception> failures = new ArrayList<>(cases.alone());
    List<EvaluatedCase> evaluated = new ArrayList<>();
    for (Outcome outcome : outcomes) {
      if (outcome.failure != null) {
        failures.add(outcome.failure);
      } else if (outcome.evaluation != null) {
        evaluated.add(new EvaluatedCase(outcome.files, outcome.evaluation));
      }
    }
    if (!evaluated.isEmpty()) {
      List<String> problems = failures.stream().map(Main::message).toList();
      EvaluationReport report = EvaluationReport.of(evaluated, structures, problems);
      show(report);
      if (!images.isEmpty()) {
        warnOfMissing(images, evaluated);
      }
      page.write(report, named, images, origin(settings));
    }
    return reportFailures(failures, evaluated.size());
  }

  private void prepareTargets() throws IOException {
    for (Path target :
        Stream.of(csv, regionCsv, json, page.page()).flatMap(Stream::ofNullable).toList()) {
      Path folder = target.toAbsolutePath().normalize().getParent();
      if (folder != null) {
        Files.createDirectories(folder);
        if (!Files.isWritable(folder)) {
          throw new AccessDeniedException(folder.toString());
        }
      }
    }
  }

  private void show(EvaluationReport report) throws IOException {
    boolean each = common().verbose || report.cases().size() <= FEW_CASES;
    System.out.print(report.table(each));
    recipe
        .recipe()
        .ifPresent(followed -> System.out.print(PublishedComparison.text(followed, report)));
    if (csv != null) {
      write(csv, report.csv());
    }
    if (regionCsv != null) {
      write(regionCsv, report.regionCsv());
    }
    if (json != null) {
      write(json, report.json());
    }
  }

  private static void write(Path target, String text) throws IOException {
    AtomicFile.write(target, out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
  }

  private Settings settings() {
    Convention asked = voxels ? Convention.VOXELS : Convention.MILLIMETERS;
    Convention convention =
        recipe.recipe().map(followed -> followed.evaluation(corrected).convention()).orElse(asked);
    return parsed(() -> new Settings(convention, tolerance, true));
  }

  /** The classes that are named, with colors; none to evaluate whatever the volumes hold. */
  private List<LabelClass> named() throws IOException {
    if (recipe.recipe().isPresent()) {
      return recipe.recipe().get().labels().stream().filter(label -> label.value() != 0).toList();
    }
    if (classes != null && model != null) {
      throw usage("--classes and --model both name the classes, expected one of them");
    }
    if (model != null) {
      try (ModelFile file = ModelFile.open(model)) {
        return file.description().labels().stream().filter(label -> label.value() != 0).toList();
      }
    }
    return classes == null
        ? List.of()
        : classes.stream()
            .map(known -> LabelClass.of(known.labels().first(), known.name()))
            .toList();
  }

  /** What to evaluate; nothing for whatever the volumes hold. */
  private List<Structure> structures(List<LabelClass> named) {
    if (recipe.recipe().isPresent()) {
      return recipe.recipe().get().evaluation(corrected).structures();
    }
    List<Structure> structures = new ArrayList<>();
    named.forEach(label -> structures.add(Structure.of(label.name(), label.value())));
    structures.addAll(regions);
    Set<String> names = new HashSet<>();
    for (Structure structure : structures) {
      if (!names.add(structure.name())) {
        throw usage("two classes or regions have the name " + structure.name());
      }
    }
    return structures;
  }

  private void warnOfMissing(Map<String, Path> images, List<EvaluatedCase> evaluated) {
    long missing = evaluated.stream().filter(c -> !images.containsKey(c.files().name())).count();
    if (missing > 0) {
      console().warn("%d of %d cases have no image".formatted(missing, evaluated.size()));
    }
  }

  private List<Entry> origin(Settings settings) {
    List<Entry> origin = new ArrayList<>();
    origin.add(new Entry("Predictions", predictions.toString()));
    origin.add(new Entry("References", labels.toString()));
    if (model != null) {
      origin.add(new Entry("Classes of", model.toString()));
    }
    origin.add(new Entry("Distances", settings.convention().unit()));
    return origin;
  }

  private List<Outcome> evaluate(
      List<LabelPair> pairs, List<Structure> structures, Settings settings) {
    @Nullable Outcome[] outcomes = new Outcome[pairs.size()];
    int atATime = Math.clamp(pairs.size(), 1, casesAtATime(pairs));
    try (Workers across = new Workers(atATime, Interruption::requested, console()::progress);
        Workers within = new Workers(threads / atATime, Interruption::requested, Progress.NONE)) {
      across.forEach(
          "cases",
          outcomes.length,
          () -> within,
          (shared, i) -> outcomes[i] = evaluate(pairs.get(i), structures, settings, shared));
    }
    console().clearBar();
    return Arrays.stream(outcomes).map(Objects::requireNonNull).toList();
  }

  /** A case that fails does not keep the others from being evaluated. */
  private static Outcome evaluate(
      LabelPair files, List<Structure> structures, Settings settings, Workers workers) {
    try {
      LabelPair.Labels volumes = files.read();
      List<Structure> own =
          structures.isEmpty()
              ? Evaluation.foreground(volumes.prediction(), volumes.reference())
              : structures;
      return new Outcome(
          files,
          Evaluation.of(volumes.prediction(), volumes.reference(), own, settings, workers),
          null);
    } catch (CancellationException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      return new Outcome(files, null, e);
    }
  }

  private int casesAtATime(List<LabelPair> pairs) {
    long largest = 1;
    for (LabelPair pair : pairs) {
      try {
        largest = Math.max(largest, pair.voxels());
      } catch (IOException e) {
        // Evaluating the case fails for the same reason and tells of it.
      }
    }
    long fitting = Runtime.getRuntime().maxMemory() / BYTES_PER_VOXEL / largest;
    return Math.clamp(fitting, 1, threads);
  }

  private int reportFailures(List<Exception> failures, int evaluated) {
    int first = ExitCode.OK;
    for (Exception failure : failures) {
      int code = Main.report(failure, "", common());
      first = first == ExitCode.OK ? code : first;
    }
    if (!failures.isEmpty()) {
      console().error("%d evaluated, %d failed".formatted(evaluated, failures.size()));
    }
    return first;
  }

  /** The result of reading options, whose mistakes are the user's. */
  private <T> T parsed(Supplier<T> reading) {
    try {
      return reading.get();
    } catch (IllegalArgumentException e) {
      throw usage(String.valueOf(e.getMessage()));
    }
  }

  private ParameterException usage(String message) {
    return new ParameterException(command.commandLine(), message);
  }
}
