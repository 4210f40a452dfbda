package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import org.unetrpp.stages.StageComparison;
import org.unetrpp.stages.StoredStages;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Where two runs part. */
@Command(
    name = "compare",
    description =
        "Compares two folders of --dump-stages: at which stage two runs part, and by what. Instead "
            + "of such a folder, one with arrays of the original program named as stages will do, "
            + "such as 05-normalized.npz for a preprocessed case (its array 'data', labels last). "
            + "Exit code 0: equal, 1: not.",
    mixinStandardHelpOptions = true)
final class CompareCommand extends Subcommand {
  @Spec private CommandSpec command = CommandSpec.create();

  @Parameters(index = "0", paramLabel = "DIR_A", description = "The first run.")
  private Path first = Path.of("");

  @Parameters(index = "1", paramLabel = "DIR_B", description = "The second run.")
  private Path second = Path.of("");

  private double tolerance;

  @Option(
      names = "--tolerance",
      paramLabel = "T",
      description =
          "By how much values, and numbers among parameters, may differ (default: 0). Affines may "
              + "differ by 0.001 mm.")
  void setTolerance(double largest) {
    if (!(largest >= 0)) {
      throw new ParameterException(
          command.commandLine(), "--tolerance is " + largest + ", expected 0 or more");
    }
    tolerance = largest;
  }

  @Option(names = "--json", description = "Print JSON instead of a table.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    StoredStages a = StoredStages.open(first);
    StoredStages b = StoredStages.open(second);
    StageComparison comparison = StageComparison.of(a, b, tolerance);
    ComparisonReport report = new ComparisonReport(comparison);
    System.out.println(json ? report.json() : report.text());
    return comparison.first().isEmpty() ? ExitCode.OK : ExitCode.FAILED;
  }
}
