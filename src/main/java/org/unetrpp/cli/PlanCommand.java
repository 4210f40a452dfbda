package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.unetrpp.dataset.DatasetFolder;
import org.unetrpp.dataset.DatasetLabel;
import org.unetrpp.engine.Engine;
import org.unetrpp.planning.PlanFile;
import org.unetrpp.recipe.PublishedRecipe;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Checks a data set and plans a training on it. */
@Command(
    name = "plan",
    description =
        "Checks a data set and plans a training on it: writes a plan that you may read and edit.",
    mixinStandardHelpOptions = true)
final class PlanCommand extends Subcommand {
  private static final Pattern LABEL = Pattern.compile("(\\d{1,3})=(.+)");

  @Spec private CommandSpec command = CommandSpec.create();
  @Mixin private RecipeOption recipe = new RecipeOption();
  @Mixin private PlanSizes sizes = new PlanSizes();

  @Parameters(
      paramLabel = "DATASET",
      description =
          "A folder with imagesTr and labelsTr (or images and labels), with or without "
              + "dataset.json; with --recipe also a folder of the published layout above it.")
  private Path dataset = Path.of("");

  @Option(
      names = {"-o", "--output"},
      paramLabel = "PLAN",
      description = "The plan to write (default: plan.json).",
      defaultValue = "plan.json")
  private Path output = Path.of("plan.json");

  @Option(
      names = "--modality",
      paramLabel = "CT",
      split = ",",
      description = "Names of the channels, such as CT or T1,T2; CT is normalized as such.")
  private List<String> modality = List.of();

  private List<DatasetLabel> labels = List.of();

  @Option(
      names = "--labels",
      paramLabel = "1=liver",
      split = ",",
      description = "Names of the labels, where dataset.json does not give them.")
  void setLabels(List<String> texts) {
    List<DatasetLabel> named = new ArrayList<>();
    for (String text : texts) {
      Matcher matcher = LABEL.matcher(text);
      if (!matcher.matches()) {
        throw usage("--labels '%s', expected the form 1=liver".formatted(text));
      }
      try {
        named.add(new DatasetLabel(Integer.parseInt(matcher.group(1)), matcher.group(2)));
      } catch (IllegalArgumentException e) {
        throw usage("--labels: " + e.getMessage());
      }
    }
    labels = List.copyOf(named);
  }

  private long maxBytes = MachineMemory.forTraining();

  @Option(
      names = "--max-memory",
      paramLabel = "4g",
      description = "What a training step may take (default: 70 %% of this machine's memory).")
  void setMaxMemory(String size) {
    try {
      maxBytes = MemorySize.parse(size);
    } catch (IllegalArgumentException e) {
      throw usage(String.valueOf(e.getMessage()));
    }
  }

  private OptionalInt epochs = OptionalInt.empty();

  @Option(names = "--epochs", paramLabel = "N", description = "Epochs of the training.")
  void setEpochs(int count) {
    epochs = OptionalInt.of(positive("--epochs", count));
  }

  @Option(names = "--corrected", description = RecipeOption.CORRECTED)
  private boolean corrected;

  @Option(
      names = "--plans",
      paramLabel = "PKL",
      description =
          "A published plan (plans.pkl, or the .pkl beside a checkpoint) that decides spacing, order "
              + "of axes, intensities and, without --recipe, patch, batch and strides.")
  private @Nullable Path plans;

  @Option(
      names = "--splits",
      paramLabel = "PKL",
      description = "The folds of a splits_final.pkl or .json instead of new ones.")
  private @Nullable Path splits;

  @Option(
      names = "--properties",
      paramLabel = "PKL",
      description =
          "A dataset_properties.pkl whose sizes, spacings and intensities count instead of those of "
              + "the images.")
  private @Nullable Path properties;

  private int threads = Engine.defaultThreads();

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that read cases (default: all processors).")
  void setThreads(int count) {
    threads = positive("--threads", count);
  }

  @Override
  public Integer call() throws IOException {
    recipe.requireFor("--corrected");
    recipe.refuseBeside("--modality", "--labels");
    if (Files.exists(output)) {
      throw new CommandFailedException(
          output + ": exists; delete it, or name another plan with -o");
    }
    PlanMaker maker = new PlanMaker(console(), threads, sizes.options(maxBytes, epochs));
    PlanMaker.Imports imports = new PlanMaker.Imports(plans, splits, properties);
    Optional<PublishedRecipe> followed = recipe.recipe();
    PlanMaker.Made made =
        followed.isPresent()
            ? maker.plan(followed.get(), corrected, dataset, output, imports)
            : maker.plan(dataset, this::named, output, imports);
    PlanFile.write(output, made.plan());
    PlanSummary.lines(made.plan(), made.cases()).forEach(System.out::println);
    followed.ifPresent(published ->
        published.notes().forEach(note -> System.out.println(PlanSummary.line("note", note))));
    System.out.println("written to " + output);
    System.out.println("next: unetrpp train " + output);
    return ExitCode.OK;
  }

  /** The data set with the names that a person gave. */
  private DatasetFolder named(DatasetFolder folder) {
    DatasetFolder named = folder;
    if (!modality.isEmpty()) {
      int channels = folder.channels().size();
      if (modality.size() != channels) {
        throw usage(
            "--modality names %d channels, but images have %d"
                .formatted(modality.size(), channels));
      }
      named = named.withChannels(modality);
    }
    return labels.isEmpty() ? named : named.withLabels(withBackground());
  }

  private List<DatasetLabel> withBackground() {
    List<DatasetLabel> all = new ArrayList<>(labels);
    if (labels.stream().noneMatch(label -> label.value() == 0)) {
      all.add(new DatasetLabel(0, "background"));
    }
    all.sort((a, b) -> Integer.compare(a.value(), b.value()));
    return all;
  }

  private ParameterException usage(String message) {
    return new ParameterException(command.commandLine(), message);
  }

  private int positive(String option, int count) {
    if (count < 1) {
      throw usage(option + " is " + count + ", expected 1 or more");
    }
    return count;
  }
}
