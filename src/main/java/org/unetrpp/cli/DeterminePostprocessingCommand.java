package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.unetrpp.engine.Engine;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.mask.LabelRuns;
import org.unetrpp.metrics.Structure;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.postprocessing.CaseDice;
import org.unetrpp.postprocessing.Decision;
import org.unetrpp.postprocessing.PostprocessingFile;
import org.unetrpp.postprocessing.Removal;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Validation cases to the rule by which small components are removed. */
@Command(
    name = "determine-postprocessing",
    description =
        "Finds out for which classes it raises the mean Dice to keep only the largest connected "
            + "component, first all foreground as one object, then each class.",
    mixinStandardHelpOptions = true)
final class DeterminePostprocessingCommand extends Subcommand {
  @Spec private CommandSpec command = CommandSpec.create();

  @Option(
      names = "--predictions",
      required = true,
      arity = "1..*",
      paramLabel = "P",
      description = "Folders of predicted labels, such as those of every fold's validation.")
  private List<Path> predictions = List.of();

  @Option(
      names = "--labels",
      required = true,
      paramLabel = "L",
      description = "Folder of the labels to compare with; may hold more cases.")
  private Path labels = Path.of("");

  private @Nullable SortedSet<Integer> classes;

  @Option(
      names = "--classes",
      paramLabel = "1=liver,2=spleen",
      description = "Foreground classes (default: every label found but 0).")
  void setClasses(String text) {
    try {
      SortedSet<Integer> values = new TreeSet<>();
      for (Structure structure : StructureText.classes(text)) {
        values.addAll(Removal.of(structure.labels()).labels());
      }
      classes = values;
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  @Option(
      names = {"-o", "--output"},
      paramLabel = "F",
      description = "The file to write (default: postprocessing.json).")
  private Path output = Path.of(PostprocessingFile.NAME);

  @Override
  public Integer call() throws IOException {
    List<LabelPair> pairs = pairs();
    Path folder = output.toAbsolutePath().getParent();
    if (folder != null) {
      Files.createDirectories(folder);
    }
    try (Workers workers =
        new Workers(Engine.defaultThreads(), Interruption::requested, Progress.NONE)) {
      SortedSet<Integer> foreground = classes == null ? foreground(pairs, workers) : classes;
      if (foreground.isEmpty()) {
        throw new InvalidFileException(labels, "no file holds a label but 0");
      }
      List<CaseDice> cases =
          forEach(
              "cases",
              pairs,
              of -> CaseDice.of(of.prediction(), of.reference(), foreground, workers));
      Decision decision = Decision.of(cases);
      PostprocessingFile.write(output, decision, name(predictions.getFirst()), "");
      System.out.print(table(decision));
      console().info("written to " + output);
    }
    return ExitCode.OK;
  }

  private List<LabelPair> pairs() throws IOException {
    List<LabelPair> pairs = new ArrayList<>();
    for (Path folder : predictions) {
      pairs.addAll(LabelPairs.ofPredictions(folder, labels));
    }
    return pairs;
  }

  private SortedSet<Integer> foreground(List<LabelPair> pairs, Workers workers) throws IOException {
    SortedSet<Integer> found = new TreeSet<>();
    forEach(
        "labels",
        pairs,
        of -> {
          found.addAll(LabelRuns.of(of.prediction(), workers).foreground());
          return found.addAll(LabelRuns.of(of.reference(), workers).foreground());
        });
    return found;
  }

  private <T> List<T> forEach(
      String stage, List<LabelPair> pairs, Function<LabelPair.Labels, T> work) throws IOException {
    List<T> results = new ArrayList<>();
    for (LabelPair pair : pairs) {
      console().progress(stage, results.size(), pairs.size());
      results.add(work.apply(pair.read()));
    }
    console().clearBar();
    return results;
  }

  private static String name(Path folder) {
    return String.valueOf(folder.toAbsolutePath().normalize().getFileName());
  }

  /** Mean Dice of each class before and after, and the rule. */
  static String table(Decision decision) {
    TextTable table = new TextTable(1);
    table.add(List.of("label", "Dice", "all as one", "each class"));
    decision
        .raw()
        .forEach((label, raw) ->
            table.add(
                List.of(
                    label.toString(),
                    TextTable.dice(raw),
                    TextTable.dice(decision.joint().getOrDefault(label, Double.NaN)),
                    TextTable.dice(decision.each().getOrDefault(label, Double.NaN)))));
    List<String> rule =
        decision.rule().removals().stream().map(removal -> removal.labels().toString()).toList();
    return table
        + "only the largest component of: %s%n"
            .formatted(rule.isEmpty() ? "nothing" : String.join(", ", rule));
  }
}
