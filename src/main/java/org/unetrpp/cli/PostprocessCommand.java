package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.unetrpp.engine.Engine;
import org.unetrpp.image.Nifti;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.postprocessing.ComponentRule;
import org.unetrpp.postprocessing.PostprocessingFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Label volumes to the same without small components. */
@Command(
    name = "postprocess",
    description =
        "Removes small connected components of label volumes by a rule that "
            + "'unetrpp determine-postprocessing' found; files keep their names.",
    mixinStandardHelpOptions = true)
final class PostprocessCommand extends Subcommand {
  @Parameters(paramLabel = "INPUT", description = "A label file, or a folder of label files.")
  private Path input = Path.of("");

  @Option(
      names = "--rule",
      required = true,
      paramLabel = "postprocessing.json",
      description = "The rule.")
  private Path ruleFile = Path.of("");

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "DIR",
      description = "Folder to write to; not that of the input.")
  private Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    ComponentRule rule = PostprocessingFile.read(ruleFile);
    Map<String, Path> files = LabelPairs.files(input);
    Files.createDirectories(output);
    for (Path file : files.values()) {
      if (Files.isSameFile(output, parent(file))) {
        throw new CommandFailedException(output + ": holds the input, expected another folder");
      }
    }
    try (Workers workers =
        new Workers(Engine.defaultThreads(), Interruption::requested, Progress.NONE)) {
      int done = 0;
      for (Path file : files.values()) {
        console().progress("cases", done, files.size());
        Path target = output.resolve(String.valueOf(file.getFileName()));
        write(file, target, rule, workers);
        console().clearBar();
        System.out.println(target);
        done++;
      }
    }
    return ExitCode.OK;
  }

  /** Writes what a rule leaves of a label file. */
  static void write(Path source, Path target, ComponentRule rule, Workers workers)
      throws IOException {
    LabelFile file = LabelFile.open(source);
    Nifti.writeLabels(target, rule.apply(file.labels(), workers), file.header());
  }

  private static Path parent(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    return parent == null ? file : parent;
  }
}
