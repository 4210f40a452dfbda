package org.unetrpp.cli;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.Provenance;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.PlanOptions;
import org.unetrpp.planning.Schedule;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.recipe.PublishedRecipe;
import org.unetrpp.training.BatchProgress;
import org.unetrpp.training.Checkpoint;
import org.unetrpp.training.EpochResult;
import org.unetrpp.training.InitialValues;
import org.unetrpp.training.PlanHash;
import org.unetrpp.training.RunFolder;
import org.unetrpp.training.RunListener;
import org.unetrpp.training.TrainingRun;
import org.unetrpp.weights.StoredType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** A plan to a trained network. */
@Command(
    name = "train",
    description =
        "Trains a network by a plan or a published recipe: writes models, checkpoints and logs into a "
            + "folder.",
    mixinStandardHelpOptions = true)
final class TrainCommand extends Subcommand {
  /** A step of a large network on a CPU takes long, and so does its checkpoint on a slow disk. */
  private static final Duration LONGEST_STOP = Duration.ofMinutes(10);

  private final TrainingParts parts;
  private final BooleanSupplier stopRequested;

  @Spec private CommandSpec command = CommandSpec.create();
  @Mixin private DeviceOptions device = new DeviceOptions();
  @Mixin private RecipeOption recipe = new RecipeOption();
  @Mixin private PlanSizes sizes = new PlanSizes();

  @Parameters(
      paramLabel = "PLAN",
      description =
          "The plan file that 'unetrpp plan' wrote; with --recipe the folder of a data set in any of "
              + "the published layouts.")
  private Path planFile = Path.of("");

  @Option(names = "--corrected", description = RecipeOption.CORRECTED)
  private boolean corrected;

  private String fold = "0";

  @Option(
      names = "--fold",
      paramLabel = "F|all",
      description = "Which fold of the plan; all: train and validate on every case (default: 0).")
  void setFold(String name) {
    if (!name.matches("\\d{1,4}|" + TrainingPlan.ALL)) {
      throw invalid("--fold", name, "a number from 0 or all");
    }
    fold = name.equals(TrainingPlan.ALL) ? name : Integer.toString(Integer.parseInt(name));
  }

  @Option(
      names = {"-o", "--output"},
      paramLabel = "DIR",
      description = "Folder of the run (default: PLAN_fold0 beside the plan).")
  private @Nullable Path output;

  @Option(names = "--resume", description = "Go on with a run that was stopped or died.")
  private boolean resume;

  @Option(
      names = "--from",
      paramLabel = "MODEL",
      description = "Start from a model's weights; those of another shape start fresh.")
  private @Nullable Path from;

  private int workers = Math.max(1, Runtime.getRuntime().availableProcessors() / 2);

  @Option(
      names = "--workers",
      paramLabel = "N",
      description = "Threads that prepare batches (default: half of the processors).")
  void setWorkers(int count) {
    workers = positive("--workers", count);
  }

  private @Nullable Integer epochs;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "Train for N epochs instead of as many as the plan says.")
  void setEpochs(int count) {
    epochs = positive("--epochs", count);
  }

  private Duration saveEvery = Duration.ofMinutes(10);

  @Option(
      names = "--save-every",
      paramLabel = "MINUTES",
      description = "Time between checkpoints within an epoch (default: 10).")
  void setSaveEvery(int minutes) {
    saveEvery = Duration.ofMinutes(positive("--save-every", minutes));
  }

  private StoredType modelType = StoredType.FLOAT32;

  @Option(
      names = "--model-type",
      paramLabel = "float32|bfloat16",
      description = "Type of the weights in model files (default: float32).")
  void setModelType(String name) {
    modelType =
        StoredType.named(name)
            .filter(type -> type == StoredType.FLOAT32 || type == StoredType.BFLOAT16)
            .orElseThrow(() -> invalid("--model-type", name, "float32 or bfloat16"));
  }

  TrainCommand(TrainingParts parts, BooleanSupplier stopRequested) {
    this.parts = parts;
    this.stopRequested = stopRequested;
  }

  @Override
  public Integer call() throws IOException {
    if (resume && from != null) {
      throw new ParameterException(
          command.commandLine(), "--from starts a run and --resume goes on with one; give one");
    }
    recipe.requireFor("--corrected");
    recipe.requireFor(PlanSizes.NAMES);
    if (recipe.recipe().isPresent()) {
      planFile = planOf(recipe.recipe().get(), planFile);
    }
    TrainingPlan plan = plan();
    Fold cases = cases(plan);
    Path target = target();
    if (resume && !RunFolder.hasRun(target)) {
      throw new CommandFailedException(
          target + ": holds no run to go on with; leave out --resume to start one");
    }
    try (RunFolder folder = RunFolder.open(target)) {
      if (!resume && RunFolder.hasRun(target)) {
        throw new CommandFailedException(
            target
                + ": holds a run already; go on with it by --resume, or choose another --output");
      }
      Optional<Checkpoint> checkpoint =
          resume ? Optional.of(folder.readLast(PlanHash.of(plan), fold)) : Optional.empty();
      return train(plan, cases, folder, checkpoint);
    }
  }

  /** Plans by a recipe, unless that was done for this data set before. */
  private Path planOf(PublishedRecipe published, Path dataset) throws IOException {
    String name = published.name() + (corrected ? "-corrected" : "") + ".json";
    Path file = output == null ? Path.of(name) : output.toAbsolutePath().resolveSibling(name);
    if (Files.exists(file)) {
      requirePlanOf(published, dataset, file);
      console().info("trains by " + file);
      return file;
    }
    createParent(file);
    PlanOptions options = sizes.options(MachineMemory.forTraining(), OptionalInt.empty());
    PlanMaker.Made made =
        new PlanMaker(console(), device.threads(), options)
            .plan(published, corrected, dataset, file, PlanMaker.Imports.NONE);
    parts.writePlan(file, made.plan());
    console()
        .info(
            "planned by recipe %s: %s".formatted(published.name(), file),
            PlanSummary.lines(made.plan(), made.cases()),
            new JsonObject());
    return file;
  }

  private void requirePlanOf(PublishedRecipe published, Path dataset, Path file)
      throws IOException {
    for (String option : PlanSizes.NAMES) {
      if (command.commandLine().getParseResult().hasMatchedOption(option)) {
        throw new CommandFailedException(
            "%s: exists, and %s would not change it; delete it, or choose another folder by --output"
                .formatted(file, option));
      }
    }
    Path planned = datasetOf(file, parts.readPlan(file));
    Path wanted = published.folders().locate(dataset).toAbsolutePath().normalize();
    if (!planned.equals(wanted)) {
      throw new CommandFailedException(
          "%s: plans %s, not %s; delete it, or choose another folder by --output"
              .formatted(file, planned, wanted));
    }
  }

  private static void createParent(Path file) throws IOException {
    Path parent = file.toAbsolutePath().getParent();
    if (parent != null) {
      Files.createDirectories(parent);
    }
  }

  private static Path datasetOf(Path file, TrainingPlan plan) {
    return file.toAbsolutePath().resolveSibling(plan.dataset()).normalize();
  }

  private int train(
      TrainingPlan plan, Fold cases, RunFolder folder, Optional<Checkpoint> checkpoint)
      throws IOException {
    InitialValues initialValues = initialValues(plan);
    parts.writePlan(folder.plan(), plan);
    TrainingParts.Request request =
        new TrainingParts.Request(
            planFile,
            plan,
            cases,
            initialValues,
            device.device(console()),
            device.computeType(),
            device.threads(),
            workers);
    try (TrainingParts.Opened opened = parts.open(request, console())) {
      Interruption.expect(
          LONGEST_STOP, () -> console().info("stopping after this step; it is saved then"));
      TrainingRun run =
          new TrainingRun(
              settings(plan, cases),
              opened.trainer(),
              opened.training(),
              opened.validation(),
              folder,
              new Reporter(),
              stopRequested);
      TrainingRun.Outcome outcome =
          checkpoint.isPresent() ? run.resume(checkpoint.get()) : run.start();
      return switch (outcome) {
        case FINISHED -> finished(folder);
        case STOPPED -> stopped(run, plan.schedule());
      };
    }
  }

  private TrainingRun.Settings settings(TrainingPlan plan, Fold cases) throws IOException {
    List<Provenance.Source> sources =
        from == null ? List.of() : List.of(new Provenance.Source(fileName(from), sha256(from)));
    return new TrainingRun.Settings(
        plan,
        fold,
        cases.training().size(),
        sources,
        "unetrpp " + Version.current(),
        modelType,
        saveEvery);
  }

  private int finished(RunFolder folder) {
    console().clearBar();
    System.out.println(folder.model());
    console()
        .info("finished; segment with: unetrpp segment IMAGE --model " + quoted(folder.model()));
    return ExitCode.OK;
  }

  private int stopped(TrainingRun run, Schedule schedule) {
    console()
        .info(
            "stopped in epoch %d of %d after step %d of %d; go on with: %s"
                .formatted(
                    run.state().epoch() + 1,
                    schedule.epochs(),
                    run.state().iteration(),
                    schedule.iterations(),
                    commandToResume()));
    return ExitCode.CANCELLED;
  }

  /** Repeats the options that make the run what it is. */
  private String commandToResume() {
    List<String> words = new ArrayList<>(List.of("unetrpp", "train", quoted(planFile)));
    if (!fold.equals("0")) {
      words.addAll(List.of("--fold", fold));
    }
    if (output != null) {
      words.addAll(List.of("--output", quoted(output)));
    }
    if (epochs != null) {
      words.addAll(List.of("--epochs", epochs.toString()));
    }
    if (modelType != StoredType.FLOAT32) {
      words.addAll(List.of("--model-type", modelType.text()));
    }
    words.addAll(device.words());
    words.add("--resume");
    return String.join(" ", words);
  }

  private static String quoted(Path path) {
    String text = path.toString();
    return text.matches("[\\w./+:\\\\-]+") ? text : "'" + text.replace("'", "'\\''") + "'";
  }

  /** The plan as it is trained: its data set is found from any folder. */
  private TrainingPlan plan() throws IOException {
    TrainingPlan plan = parts.readPlan(planFile);
    Path dataset = datasetOf(planFile, plan);
    return new TrainingPlan(
        plan.formatVersion(),
        plan.name(),
        dataset.toString(),
        plan.labels(),
        plan.preprocessing(),
        plan.architecture(),
        plan.batchDice(),
        plan.augmentation(),
        plan.optimization(),
        schedule(plan.schedule()),
        plan.folds());
  }

  private Schedule schedule(Schedule planned) {
    return new Schedule(
        epochs == null ? planned.epochs() : epochs,
        planned.iterations(),
        planned.validationIterations(),
        planned.batchSize(),
        planned.foregroundShare(),
        planned.seed());
  }

  private Fold cases(TrainingPlan plan) {
    return plan.fold(fold)
        .orElseThrow(() -> {
          int count = plan.folds().size();
          String one = count == 1 ? ", number 0" : "";
          String more =
              recipe.recipe().isPresent() && !corrected
                  ? "; --corrected divides the cases anew"
                  : "";
          return invalid(
              "--fold", fold, "a fold of the plan, which has %d%s%s".formatted(count, one, more));
        });
  }

  /** The folder named, or the plan's name with the fold beside the plan. */
  private Path target() {
    if (output != null) {
      return output;
    }
    String suffix = fold.equals(TrainingPlan.ALL) ? "_all" : "_fold" + fold;
    return planFile.resolveSibling(fileName(planFile).replaceFirst("\\.json$", "") + suffix);
  }

  private InitialValues initialValues(TrainingPlan plan) throws IOException {
    if (from == null) {
      return InitialValues.drawn(plan.architecture(), plan.schedule().seed());
    }
    try (ModelFile model = ModelFile.open(from)) {
      InitialValues values = InitialValues.of(model, plan.architecture(), plan.schedule().seed());
      console().info("%s: gives %d tensors".formatted(from, values.takenCount()));
      values.drawn().forEach(reason -> console().info("starts fresh: " + reason));
      return values;
    }
  }

  private static String fileName(Path path) {
    return String.valueOf(path.getFileName());
  }

  private static String sha256(Path path) throws IOException {
    try (InputStream in = Files.newInputStream(path);
        DigestInputStream digested =
            new DigestInputStream(in, MessageDigest.getInstance("SHA-256"))) {
      digested.transferTo(OutputStream.nullOutputStream());
      return HexFormat.of().formatHex(digested.getMessageDigest().digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no SHA-256, which every Java must have", e);
    }
  }

  private int positive(String option, int value) {
    if (value < 1) {
      throw invalid(option, Integer.toString(value), "1 or more");
    }
    return value;
  }

  private ParameterException invalid(String option, String value, String expected) {
    return new ParameterException(
        command.commandLine(), "%s is %s, expected %s".formatted(option, value, expected));
  }

  /** Tells on the console how the run goes on. */
  private final class Reporter implements RunListener {
    @Override
    public void batchDone(BatchProgress progress) {
      String phase =
          switch (progress.phase()) {
            case TRAINING -> "";
            case VALIDATION -> " validation";
          };
      console()
          .progress(
              "epoch %d/%d%s".formatted(progress.epoch(), progress.epochs(), phase),
              progress.done(),
              progress.total(),
              String.format(
                  Locale.ROOT,
                  "loss %.4f, %.2f s/step, %.0f%% waiting, %s left of epoch, %s of run",
                  progress.loss(),
                  progress.secondsPerBatch(),
                  100 * progress.waitingShare(),
                  Console.duration(progress.epochSecondsLeft()),
                  Console.duration(progress.runSecondsLeft())));
    }

    @Override
    public void epochDone(EpochResult result, double seconds) {
      console()
          .info(
              String.format(
                  Locale.ROOT,
                  "epoch %d: training loss %.4f, validation loss %.4f, Dice %.4f, "
                      + "average %.4f%s, %s",
                  result.epoch(),
                  result.trainingLoss(),
                  result.validationLoss(),
                  result.dice(),
                  result.averageDice(),
                  result.best() ? " (best)" : "",
                  Console.duration(seconds)));
    }
  }
}
