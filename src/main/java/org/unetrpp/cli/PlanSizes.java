package org.unetrpp.cli;

import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.planning.PlanOptions;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Sizes of a training that a person decides instead of the planner or the recipe. */
final class PlanSizes {
  /** The names of the options. */
  static final String[] NAMES = {"--patch", "--batch-size", "--iterations"};

  private static final Pattern PATCH = Pattern.compile("(\\d{1,5})x(\\d{1,5})x(\\d{1,5})");

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

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
    batchSize = positive("--batch-size", count);
  }

  private OptionalInt iterations = OptionalInt.empty();

  @Option(
      names = "--iterations",
      paramLabel = "N",
      description =
          "Training steps of an epoch (default: 250); validation batches are a fifth of them.")
  void setIterations(int count) {
    iterations = positive("--iterations", count);
  }

  /** These sizes and others. */
  PlanOptions options(long maxBytes, OptionalInt epochs) {
    return new PlanOptions(maxBytes, patch, batchSize, epochs, iterations);
  }

  private OptionalInt positive(String option, int count) {
    if (count < 1) {
      throw usage(option + " is " + count + ", expected 1 or more");
    }
    return OptionalInt.of(count);
  }

  private ParameterException usage(String message) {
    return new ParameterException(command.commandLine(), message);
  }
}
