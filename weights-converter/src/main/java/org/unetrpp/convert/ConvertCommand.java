package org.unetrpp.convert;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.unetrpp.cli.Subcommand;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.inference.ModelDescription;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.inference.Provenance;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkCost;
import org.unetrpp.weights.StoredType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Published checkpoints to model files, and back. */
@Command(
    name = "convert",
    description = "Turns a published PyTorch checkpoint into a model file, or back.",
    mixinStandardHelpOptions = true)
public final class ConvertCommand extends Subcommand {
  @Spec private CommandSpec command = CommandSpec.create();

  @Parameters(
      paramLabel = "CHECKPOINT",
      description = "A checkpoint of PyTorch; with --to-pytorch a model file.")
  private Path source = Path.of("");

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "M",
      description = "The file to write.")
  private Path output = Path.of("");

  @Option(
      names = "--side-file",
      paramLabel = "PKL",
      description =
          "The .pkl beside the checkpoint, or plans.pkl: spacing, intensities and normalization "
              + "of the training data.")
  private @Nullable Path sideFile;

  private @Nullable String variant;

  @Option(
      names = "--variant",
      paramLabel = "V",
      description = "Insist on synapse, btcv, acdc, lung or tumor (default: recognized).")
  void setVariant(String name) {
    if (Architecture.published(name).isEmpty()) {
      throw new ParameterException(
          command.commandLine(),
          "variant '%s' is unknown, expected one of %s"
              .formatted(name, String.join(", ", Architecture.publishedNames())));
    }
    variant = name;
  }

  private @Nullable Extents patch;

  @Option(
      names = "--patch",
      paramLabel = "DxHxW",
      description = "The patch in voxels, where it does not follow from the checkpoint.")
  void setPatch(String extents) {
    if (!extents.matches("\\d{1,5}x\\d{1,5}x\\d{1,5}")) {
      throw new ParameterException(
          command.commandLine(), "--patch is '" + extents + "', expected a form like 64x128x128");
    }
    String[] numbers = extents.split("x", -1);
    patch =
        new Extents(
            Integer.parseInt(numbers[0]),
            Integer.parseInt(numbers[1]),
            Integer.parseInt(numbers[2]));
  }

  /** Types of weights in a model file. */
  enum WeightType {
    FLOAT32(StoredType.FLOAT32),
    BFLOAT16(StoredType.BFLOAT16);

    private final StoredType stored;

    WeightType(StoredType stored) {
      this.stored = stored;
    }
  }

  @Option(
      names = "--type",
      paramLabel = "float32|bfloat16",
      description = "Type of the weights in the model file (default: float32).",
      defaultValue = "float32")
  private WeightType type = WeightType.FLOAT32;

  @Option(names = "--to-pytorch", description = "Make a checkpoint of a model file.")
  private boolean toPyTorch;

  @Override
  public Integer call() throws IOException {
    requireNotOutput(source);
    if (sideFile != null) {
      requireNotOutput(sideFile);
    }
    if (toPyTorch) {
      requireNoModelOptions();
      writeCheckpoint();
    } else {
      writeModel();
    }
    System.out.println(output);
    return 0;
  }

  private void requireNotOutput(Path input) throws IOException {
    if (Files.exists(output) && Files.exists(input) && Files.isSameFile(output, input)) {
      throw new ParameterException(
          command.commandLine(), "--output would replace " + input + ", which is read");
    }
  }

  /** Options that say what a model file holds mean nothing on the way back. */
  private void requireNoModelOptions() {
    for (String option : List.of("--side-file", "--variant", "--patch", "--type")) {
      if (command.commandLine().getParseResult().hasMatchedOption(option)) {
        throw new ParameterException(
            command.commandLine(), option + " has no meaning with --to-pytorch");
      }
    }
  }

  private void writeModel() throws IOException {
    Converter.Options options = new Converter.Options(variant, patch, false);
    try (ConvertedCheckpoint checkpoint = Converter.convert(source, sideFile, options)) {
      Architecture architecture = checkpoint.architecture();
      Preparation preparation = preparation(checkpoint);
      ModelDescription description =
          new ModelDescription(
              architecture,
              preparation.labels(),
              preparation.plan(),
              new Provenance(producer(), sources(checkpoint.sources()), preparation.assumption()));
      ModelFile.write(output, description, checkpoint.tensors().values(), type.stored);
      long parameters =
          NetworkCost.parametersByPart(architecture).values().stream().mapToLong(n -> n).sum();
      console()
          .info(
              String.format(
                  Locale.ROOT,
                  "%s: %d channels, %d classes, patch %s, %,d parameters",
                  checkpoint.variant().orElse("own architecture"),
                  architecture.inputChannels(),
                  architecture.classes(),
                  architecture.patch(),
                  parameters));
      if (!preparation.assumption().isEmpty()) {
        console().warn(preparation.assumption());
      }
    }
  }

  private Preparation preparation(ConvertedCheckpoint checkpoint) throws InvalidFileException {
    try {
      return Preparation.of(checkpoint);
    } catch (IllegalArgumentException e) { // only a side file can say what cannot be done
      Path culprit = sideFile == null ? source : sideFile;
      throw new InvalidFileException(culprit, String.valueOf(e.getMessage()), e);
    }
  }

  private void writeCheckpoint() throws IOException {
    try (ModelFile model = ModelFile.open(source)) {
      PyTorchWriter.write(
          output,
          model.description().architecture(),
          model.tensors(),
          PyTorchWriter.Form.STATE_DICT);
    }
  }

  private static List<Provenance.Source> sources(Map<String, String> hashes) {
    return hashes.entrySet().stream()
        .map(entry -> new Provenance.Source(entry.getKey(), entry.getValue()))
        .toList();
  }

  private static String producer() {
    String version = ConvertCommand.class.getPackage().getImplementationVersion();
    return "unetrpp convert" + (version == null ? "" : " " + version);
  }
}
