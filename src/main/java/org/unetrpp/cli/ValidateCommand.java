package org.unetrpp.cli;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.dataset.DatasetCase;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.files.PythonJson;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.SegmentationOptions;
import org.unetrpp.inference.Segmenter;
import org.unetrpp.metrics.Evaluation;
import org.unetrpp.metrics.Metric;
import org.unetrpp.metrics.PublishedSummary;
import org.unetrpp.metrics.Settings;
import org.unetrpp.metrics.Structure;
import org.unetrpp.pipeline.Mirroring;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.SlidingWindow;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.PlanFile;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.postprocessing.CaseDice;
import org.unetrpp.postprocessing.Decision;
import org.unetrpp.postprocessing.PostprocessingFile;
import org.unetrpp.training.Checkpoint;
import org.unetrpp.training.RunFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** A trained network to the labels and metrics of its fold's validation cases, as published. */
@Command(
    name = "validate",
    description =
        "Segments the whole validation cases of a fold and compares them with their labels: writes "
            + "validation_raw/CASE.nii.gz and summary.json, then decides on removing small "
            + "components: postprocessing.json and validation_raw_postprocessed/.",
    mixinStandardHelpOptions = true)
final class ValidateCommand extends Subcommand {
  private static final String RAW = "validation_raw";
  private static final String POSTPROCESSED = "validation_raw_postprocessed";

  @Spec private CommandSpec command = CommandSpec.create();
  @Mixin private DeviceOptions device = new DeviceOptions();

  @Parameters(
      paramLabel = "RUN_OR_MODEL",
      description = "The folder of a training run, or a model file.")
  private Path source = Path.of("");

  @Option(
      names = "--plan",
      paramLabel = "PLAN",
      description = "The plan with the cases (default: plan.json beside the model).")
  private @Nullable Path planFile;

  @Option(
      names = "--fold",
      paramLabel = "F|all",
      description = "The fold of the plan (default: that of the run).")
  private @Nullable String foldName;

  @Option(
      names = "--best",
      description = "Validate a run's best epoch (default: its last, or if it goes on its best).")
  private boolean best;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "DIR",
      description = "Folder to write to (default: that of the model).")
  private @Nullable Path output;

  @Option(names = "--skip-existing", description = "Segment no case whose labels are there.")
  private boolean skipExisting;

  @Option(
      names = "--save-probabilities",
      description = "Also write CASE_prob.nii.gz, a volume for each class, for 'unetrpp ensemble'.")
  private boolean saveProbabilities;

  @Option(
      names = "--no-mirroring",
      description = "Predict each patch once, not mirrored in 8 ways: 8 times faster.")
  private boolean withoutMirroring;

  @Option(
      names = "--step",
      paramLabel = "0.5",
      defaultValue = "0.5",
      description = "Distance of patches as a fraction of the patch (default: 0.5).")
  private double step;

  @Option(
      names = "--postprocessing",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "Also decide on removing small components (default: yes).")
  private boolean postprocesses;

  /** The cases of a fold and where their results go. */
  private record Task(TrainingPlan plan, List<DatasetCase> cases, Path folder) {
    List<LabelPair> pairs(String part) {
      return cases.stream()
          .map(each ->
              new LabelPair(
                  each.id(), folder.resolve(part).resolve(each.id() + ".nii.gz"), each.label()))
          .toList();
    }
  }

  @Override
  public Integer call() throws IOException {
    SlidingWindow.Settings window = window();
    Path model = model();
    Task task = task(model);
    Path raw = Files.createDirectories(task.folder.resolve(RAW));
    segment(model, task, window);
    writeArguments(raw.resolve("validation_args.json"), window);
    try (Workers workers = new Workers(device.threads(), Interruption::requested, Progress.NONE)) {
      List<Integer> labels = task.plan.labelValues();
      SortedSet<Integer> foreground = new TreeSet<>(labels.subList(1, labels.size()));
      List<CaseDice> dice = new ArrayList<>();
      PublishedSummary summary =
          writeSummary(
              task,
              RAW,
              labels,
              read -> {
                if (postprocesses) {
                  dice.add(CaseDice.of(read.prediction(), read.reference(), foreground, workers));
                }
              },
              workers);
      System.out.print(table(task.plan, summary));
      if (postprocesses) {
        postprocess(task, Decision.of(dice), foreground, workers);
      }
    }
    console().info("written to " + raw);
    return ExitCode.OK;
  }

  private SlidingWindow.Settings window() {
    try {
      return new SlidingWindow.Settings(step, withoutMirroring ? Mirroring.NONE : Mirroring.ALL);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), "--" + e.getMessage(), e);
    }
  }

  /** The model file named, or that of the run. */
  private Path model() throws IOException {
    if (!Files.isDirectory(source)) {
      return source;
    }
    Path last = source.resolve(RunFolder.MODEL);
    Path bestSoFar = source.resolve(RunFolder.BEST_MODEL);
    Path wanted = best ? bestSoFar : last;
    Path other = best ? last : bestSoFar;
    if (!Files.exists(wanted) && !Files.exists(other)) {
      throw new InvalidFileException(source, "holds no model of a training run");
    }
    if (!Files.exists(wanted)) {
      console().warn("%s: no such file; validates %s".formatted(wanted, other.getFileName()));
      return other;
    }
    return wanted;
  }

  private Task task(Path model) throws IOException {
    Path folder = model.toAbsolutePath().getParent();
    Path beside = folder == null ? Path.of("") : folder;
    Path planPath = planFile == null ? beside.resolve(RunFolder.PLAN) : planFile;
    TrainingPlan plan = PlanFile.read(planPath);
    String name =
        foldName == null
            ? Checkpoint.readFold(beside.resolve(RunFolder.LAST_CHECKPOINT))
            : foldName;
    Fold fold =
        plan.fold(name)
            .orElseThrow(() ->
                new ParameterException(
                    command.commandLine(),
                    "--fold is %s, expected a fold of the plan, which has %d"
                        .formatted(name, plan.folds().size())));
    Map<String, DatasetCase> known = new HashMap<>();
    PlanFile.openDataset(planPath, plan).cases().forEach(each -> known.put(each.id(), each));
    List<DatasetCase> cases = new ArrayList<>();
    for (String id : new TreeSet<>(fold.validation())) {
      cases.add(known.get(id));
    }
    if (cases.isEmpty()) {
      throw new InvalidFileException(planPath, "fold %s has no validation cases".formatted(name));
    }
    return new Task(plan, cases, output == null ? beside : output);
  }

  private void segment(Path model, Task task, SlidingWindow.Settings window) throws IOException {
    List<LabelPair> pairs = task.pairs(RAW);
    List<Integer> wanted = new ArrayList<>();
    for (int i = 0; i < pairs.size(); i++) {
      if (!skipExisting || !Files.exists(pairs.get(i).prediction())) {
        wanted.add(i);
      }
    }
    if (wanted.isEmpty()) {
      return;
    }
    try (ModelFile file = ModelFile.open(model);
        Segmenter segmenter =
            Segmenter.open(
                file, device.device(console()), device.threads(), device.computeType())) {
      List<Integer> values =
          segmenter.description().labels().stream().map(LabelClass::value).toList();
      if (!values.equals(task.plan.labelValues())) {
        throw new InvalidFileException(
            model,
            "its labels are %s, expected %s as in the plan"
                .formatted(values, task.plan.labelValues()));
      }
      for (int i = 0; i < wanted.size(); i++) {
        String counter = "[%d/%d] ".formatted(i + 1, wanted.size());
        segment(
            segmenter, task.cases.get(wanted.get(i)), pairs.get(wanted.get(i)), window, counter);
      }
    }
  }

  private void segment(
      Segmenter segmenter,
      DatasetCase files,
      LabelPair pair,
      SlidingWindow.Settings window,
      String counter)
      throws IOException {
    long start = System.nanoTime();
    List<Volume> channels = new ArrayList<>();
    for (Path path : files.images()) {
      channels.addAll(Nifti.open(path).volumes());
    }
    Path first = files.images().getFirst();
    NiftiHeader header = Nifti.readHeader(first);
    SegmentationOptions options =
        SegmentationOptions.PUBLISHED
            .withWindow(window)
            .withProgress((stage, done, total) -> console().progress(counter + stage, done, total))
            .cancelledWhen(Interruption::requested);
    List<Volume> probabilities = new ArrayList<>();
    if (saveProbabilities) {
      options =
          options.withProbabilities(
              (_, values) -> probabilities.add(new Volume(channels.getFirst().geometry(), values)));
    }
    LabelVolume labels = segment(segmenter, channels, options, first);
    Nifti.writeLabels(pair.prediction(), labels, header);
    if (saveProbabilities) {
      Nifti.writeVolumes(
          pair.prediction().resolveSibling(pair.name() + "_prob.nii.gz"),
          probabilities,
          header,
          VoxelType.FLOAT32);
    }
    console().clearBar();
    double seconds = (System.nanoTime() - start) * 1e-9;
    console().info(String.format(Locale.ROOT, "%s%s: %.1f s", counter, pair.name(), seconds));
  }

  private static LabelVolume segment(
      Segmenter segmenter, List<Volume> channels, SegmentationOptions options, Path path)
      throws IOException {
    try {
      segmenter.requireUsable(channels);
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(path, String.valueOf(e.getMessage()), e);
    }
    return segmenter.segment(channels, options);
  }

  private void writeArguments(Path target, SlidingWindow.Settings window) throws IOException {
    JsonObject arguments = new JsonObject();
    arguments.addProperty("do_mirroring", !withoutMirroring);
    arguments.addProperty("use_sliding_window", true);
    arguments.addProperty("step_size", window.step());
    arguments.addProperty("save_softmax", saveProbabilities);
    arguments.addProperty("use_gaussian", true);
    arguments.addProperty("overwrite", !skipExisting);
    arguments.addProperty("validation_folder_name", RAW);
    PythonJson.write(target, arguments);
  }

  /**
   * Evaluates the files of a folder and writes its summary.
   *
   * @param reader is shown the labels of each case as well
   */
  private PublishedSummary writeSummary(
      Task task,
      String part,
      List<Integer> labels,
      Consumer<LabelPair.Labels> reader,
      Workers workers)
      throws IOException {
    List<Structure> structures =
        labels.stream().map(label -> Structure.of(label.toString(), label)).toList();
    List<PublishedSummary.Case> cases = new ArrayList<>();
    for (LabelPair pair : task.pairs(part)) {
      console().progress("evaluating", cases.size(), task.cases.size());
      LabelPair.Labels volumes = pair.read();
      reader.accept(volumes);
      cases.add(
          new PublishedSummary.Case(
              Evaluation.of(
                  volumes.prediction(),
                  volumes.reference(),
                  structures,
                  Settings.DEFAULT.withoutDistances(),
                  workers),
              pair.prediction(),
              pair.reference()));
    }
    console().clearBar();
    PublishedSummary summary =
        new PublishedSummary(
            "unetrpp val tiled True",
            String.valueOf(Path.of(task.plan.dataset()).getFileName()),
            "unetrpp " + Version.current(),
            LocalDateTime.now(ZoneId.systemDefault()),
            cases);
    summary.write(task.folder.resolve(part).resolve(PublishedSummary.FILE_NAME));
    return summary;
  }

  private void postprocess(
      Task task, Decision decision, SortedSet<Integer> foreground, Workers workers)
      throws IOException {
    Path target = Files.createDirectories(task.folder.resolve(POSTPROCESSED));
    for (LabelPair pair : task.pairs(RAW)) {
      Path file = pair.prediction();
      PostprocessCommand.write(
          file, target.resolve(String.valueOf(file.getFileName())), decision.rule(), workers);
    }
    writeSummary(task, POSTPROCESSED, List.copyOf(foreground), _ -> {}, workers);
    PostprocessingFile.write(
        task.folder.resolve(PostprocessingFile.NAME), decision, RAW, POSTPROCESSED);
    System.out.print(DeterminePostprocessingCommand.table(decision));
  }

  private static String table(TrainingPlan plan, PublishedSummary summary) {
    TextTable table = new TextTable(1);
    table.add(List.of("label", "Dice"));
    for (int label = 1; label < plan.labels().size(); label++) {
      double dice = summary.means().structures().get(label).mean(Metric.DICE).value();
      table.add(List.of(plan.labels().get(label).name(), TextTable.dice(dice)));
    }
    table.add(List.of("mean", TextTable.dice(summary.foregroundMean(Metric.DICE))));
    return table.toString();
  }
}
