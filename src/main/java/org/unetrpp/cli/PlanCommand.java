package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.unetrpp.dataset.CaseFingerprint;
import org.unetrpp.dataset.CaseWorkers;
import org.unetrpp.dataset.DatasetFolder;
import org.unetrpp.dataset.DatasetLabel;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.dataset.IntegrityCheck;
import org.unetrpp.dataset.Problem;
import org.unetrpp.engine.Engine;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkCost;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.planning.PlanFile;
import org.unetrpp.planning.PlanOptions;
import org.unetrpp.planning.Planner;
import org.unetrpp.planning.TrainingMemory;
import org.unetrpp.planning.TrainingPlan;
import picocli.CommandLine.Command;
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
  private static final Pattern PATCH = Pattern.compile("(\\d{1,5})x(\\d{1,5})x(\\d{1,5})");
  private static final Pattern LABEL = Pattern.compile("(\\d{1,3})=(.+)");

  @Spec private CommandSpec command = CommandSpec.create();

  @Parameters(
      paramLabel = "DATASET",
      description =
          "A folder with imagesTr and labelsTr (or images and labels), with or without "
              + "dataset.json.")
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

  private long maxBytes = defaultMaxBytes();

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

  private @Nullable Extents patch;

  @Option(
      names = "--patch",
      paramLabel = "DxHxW",
      description = "The network's input in voxels, slices first, such as 64x128x128.")
  void setPatch(String text) {
    Matcher matcher = PATCH.matcher(text);
    if (!matcher.matches()) {
      throw usage("--patch '%s', expected the form 64x128x128".formatted(text));
    }
    Extents extents =
        new Extents(
            Integer.parseInt(matcher.group(1)),
            Integer.parseInt(matcher.group(2)),
            Integer.parseInt(matcher.group(3)));
    if (extents.voxels() == 0) {
      throw usage("--patch is " + text + ", expected extents above 0");
    }
    patch = extents;
  }

  private OptionalInt batchSize = OptionalInt.empty();

  @Option(names = "--batch-size", paramLabel = "N", description = "Patches of a batch.")
  void setBatchSize(int count) {
    batchSize = OptionalInt.of(positive("--batch-size", count));
  }

  private OptionalInt epochs = OptionalInt.empty();

  @Option(names = "--epochs", paramLabel = "N", description = "Epochs of the training.")
  void setEpochs(int count) {
    epochs = OptionalInt.of(positive("--epochs", count));
  }

  private OptionalInt iterations = OptionalInt.empty();

  @Option(
      names = "--iterations",
      paramLabel = "N",
      description = "Training steps of an epoch (default: 250).")
  void setIterations(int count) {
    iterations = OptionalInt.of(positive("--iterations", count));
  }

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
    if (Files.exists(output)) {
      throw new CommandFailedException(
          output + ": exists; delete it, or name another plan with -o");
    }
    DatasetFolder folder = named(DatasetFolder.open(dataset));
    IntegrityCheck.Report report = check(folder);
    int errors = report.errors().size();
    if (errors > 0) {
      console().error("%s: %d problem%s".formatted(dataset, errors, errors == 1 ? "" : "s"));
      return ExitCode.BAD_INPUT;
    }
    TrainingPlan plan =
        Planner.plan(
            folder.name(),
            datasetFrom(output),
            Fingerprint.of(folder.channels(), report.cases()),
            report.labels(),
            report.cases().stream().map(CaseFingerprint::id).toList(),
            new PlanOptions(maxBytes, patch, batchSize, epochs, iterations));
    PlanFile.write(output, plan);
    summary(plan, report.cases().size()).forEach(System.out::println);
    return ExitCode.OK;
  }

  private IntegrityCheck.Report check(DatasetFolder folder) {
    try (CaseWorkers workers =
        CaseWorkers.of(
            threads,
            IntegrityCheck.caseBytes(folder),
            Interruption::requested,
            (stage, done, total) -> console().progress(stage, done, total))) {
      IntegrityCheck.Report report = IntegrityCheck.run(folder, workers);
      console().clearBar();
      for (Problem problem : report.problems()) {
        if (problem.isError()) {
          console().error(problem.toString());
        } else {
          console().warn(problem.toString());
        }
      }
      return report;
    }
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

  /** The data set's folder, relative to the plan where it lies beside or below it. */
  private String datasetFrom(Path plan) {
    Path folder = dataset.toAbsolutePath().normalize();
    Path parent = plan.toAbsolutePath().normalize().getParent();
    return parent != null && folder.startsWith(parent)
        ? parent.relativize(folder).toString()
        : folder.toString();
  }

  private List<String> summary(TrainingPlan plan, int cases) {
    Architecture network = plan.architecture();
    long parameters =
        NetworkCost.parametersByPart(network).values().stream().mapToLong(Long::longValue).sum();
    int batch = plan.schedule().batchSize();
    List<String> lines = new ArrayList<>();
    lines.add(line("data set", "%s, %d cases".formatted(plan.name(), cases)));
    lines.add(
        line(
            "channels",
            String.join(
                ", ", plan.preprocessing().channels().stream().map(PlanCommand::text).toList())));
    lines.add(
        line(
            "labels",
            String.join(
                ", ",
                plan.labels().stream()
                    .skip(1)
                    .map(label -> label.value() + " " + label.name())
                    .toList())));
    Spacing spacing = plan.preprocessing().targetSpacing();
    lines.add(line("spacing", spacing == null ? "as it is" : text(spacing)));
    lines.add(line("patch", "%s, batches of %d".formatted(network.patch(), batch)));
    lines.add(
        line(
            "network",
            String.format(
                Locale.ROOT,
                "%.1f million parameters, strides %s, %s",
                parameters * 1e-6,
                network.stem(),
                String.join(
                    ", ", network.downsampling().stream().map(Extents::toString).toList()))));
    lines.add(
        line(
            "memory",
            "about %s for a training step"
                .formatted(MemorySize.text(TrainingMemory.estimateBytes(network, batch)))));
    lines.add(
        line(
            "training",
            "%d epochs of %d steps"
                .formatted(plan.schedule().epochs(), plan.schedule().iterations())));
    lines.add(line("folds", folds(plan, cases)));
    lines.add("written to " + output);
    lines.add("next: unetrpp train " + output);
    return lines;
  }

  private static String folds(TrainingPlan plan, int cases) {
    int folds = plan.folds().size();
    return switch (cases) {
      case 1 -> "1, trained on and validated on the only case";
      case 2, 3, 4 -> "%d, each holding back one case".formatted(folds);
      default -> String.valueOf(folds);
    };
  }

  private static String line(String name, String value) {
    return String.format(Locale.ROOT, "%-9s %s", name, value);
  }

  private static String text(ChannelPlan channel) {
    return "%s (%s%s)"
        .formatted(
            channel.name(),
            channel.scheme().needsStatistics() ? "normalized as CT" : "normalized case by case",
            channel.useMask() ? ", within the nonzero mask" : "");
  }

  private static String text(Spacing spacing) {
    return String.format(
        Locale.ROOT, "%.4g x %.4g x %.4g mm", spacing.depth(), spacing.height(), spacing.width());
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

  private static long defaultMaxBytes() {
    return MachineMemory.totalBytes() / 10 * 7;
  }
}
