package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.drawing.PngFile;
import org.unetrpp.figure.CaseFigure;
import org.unetrpp.figure.FigureSettings;
import org.unetrpp.figure.Palette;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.inference.EmbeddedModels;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.preview.IntensityWindow;
import org.unetrpp.preview.ViewDirection;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** A picture of a prediction beside its reference. */
@Command(
    name = "figure",
    description = {
      "Draws a prediction beside its reference, as papers show them: rows of slices with image,",
      "reference, prediction and errors, to scale, the patient's right at the left."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class FigureCommand extends Subcommand {
  private static final Pattern WINDOW =
      Pattern.compile("\\s*(?<center>-?\\d+(\\.\\d+)?)\\s*/\\s*(?<width>\\d+(\\.\\d+)?)\\s*");
  private static final String AUTOMATIC = "automatic";

  private final EmbeddedModels models;

  @Spec private CommandSpec command = CommandSpec.create();

  @Parameters(paramLabel = "IMAGE", description = "The image that was segmented.")
  private Path image = Path.of("");

  @Option(
      names = "--reference",
      required = true,
      paramLabel = "R",
      description = "The labels that are right.")
  private Path reference = Path.of("");

  @Option(
      names = "--prediction",
      required = true,
      paramLabel = "P",
      description = "The labels to compare with them.")
  private Path prediction = Path.of("");

  @Option(
      names = {"-o", "--output"},
      paramLabel = "F",
      description = "The PNG file (default: CASE_figure.png beside the prediction).")
  private @Nullable Path output;

  @ArgGroup(exclusive = true)
  private Names names = new Names();

  @Option(
      names = "--plane",
      paramLabel = "D",
      description = "axial, coronal or sagittal (default: axial).")
  private ViewDirection direction = FigureSettings.DEFAULT.direction();

  private FigureSettings numbers = FigureSettings.DEFAULT;

  @Option(
      names = "--slices",
      paramLabel = "N",
      description = "Slices at most (default: 3): those with most errors and most labels.")
  void setSlices(int count) {
    numbers = usable(() -> with(count, numbers.panelPixels()));
  }

  @Option(
      names = "--size",
      paramLabel = "N",
      description = "Pixels of a panel's longest side (default: 320).")
  void setSize(int pixels) {
    numbers = usable(() -> with(numbers.slices(), pixels));
  }

  private @Nullable IntensityWindow window;

  @Option(
      names = "--window",
      paramLabel = "C/W",
      description =
          "Center and width of the intensities from black to white, such as 40/400 (default: "
              + "automatic).")
  void setWindow(String text) {
    Matcher matcher = WINDOW.matcher(text);
    if (!matcher.matches() && !text.equals(AUTOMATIC)) {
      throw usage(
          "--window is '%s', expected CENTER/WIDTH, such as 40/400, or automatic".formatted(text));
    }
    if (matcher.matches()) {
      double center = Double.parseDouble(matcher.group("center"));
      double half = Double.parseDouble(matcher.group("width")) / 2;
      window = new IntensityWindow(center - half, center + half);
    }
  }

  private int channel;

  @Option(
      names = "--channel",
      paramLabel = "N",
      description = "Channel of an image that has several (default: 0).")
  void setChannel(int number) {
    if (number < 0) {
      throw usage("--channel is " + number + ", expected 0 or more");
    }
    channel = number;
  }

  @Option(names = "--whole", description = "Show whole slices, however little the labels take.")
  private boolean whole;

  @Option(names = "--no-projection", description = "Leave out the row of maximum intensities.")
  private boolean noProjection;

  @Option(names = "--dark", description = "Light text on a dark ground.")
  private boolean dark;

  /** Where names and colors of labels come from. */
  private static final class Names {
    @Option(
        names = "--labels",
        paramLabel = "1=liver:#aa3300,2=spleen",
        description = "Names of the labels, and colors if wanted (default: by number).")
    private @Nullable String labels;

    @Option(
        names = "--model",
        paramLabel = "M",
        description = "Names and colors of a model file or built-in model.")
    private @Nullable Path model;
  }

  FigureCommand(EmbeddedModels models) {
    this.models = models;
  }

  private static FigureSettings with(int slices, int pixels) {
    FigureSettings other = FigureSettings.DEFAULT;
    return new FigureSettings(
        other.direction(),
        slices,
        pixels,
        other.window(),
        other.whole(),
        other.projection(),
        other.palette());
  }

  @Override
  public Integer call() throws IOException {
    FigureSettings settings =
        new FigureSettings(
            direction,
            numbers.slices(),
            numbers.panelPixels(),
            window,
            whole,
            !noProjection,
            dark ? Palette.DARK : Palette.LIGHT);
    List<LabelClass> classes = classes();
    String name = CaseFiles.stem(image);
    Path target = output == null ? prediction.resolveSibling(name + "_figure.png") : output;
    requireOwn(target);
    ComparedFiles files = new ComparedFiles(name, image, channel, reference, prediction);
    PngFile.write(target, CaseFigure.draw(files.read(classes), settings));
    System.out.println(target);
    return ExitCode.OK;
  }

  private List<LabelClass> classes() throws IOException {
    String labels = names.labels;
    if (labels != null) {
      return usable(() -> StructureText.labels(labels));
    }
    if (names.model == null) {
      return List.of();
    }
    String name = names.model.toString();
    if (!Files.exists(names.model) && !models.contains(name)) {
      throw new InvalidFileException(names.model, "no such file or built-in model");
    }
    try (ModelFile model =
        Files.exists(names.model) ? ModelFile.open(names.model) : models.open(name)) {
      return model.description().labels();
    }
  }

  private void requireOwn(Path target) {
    Path absolute = target.toAbsolutePath().normalize();
    boolean taken =
        Stream.of(image, reference, prediction)
            .anyMatch(input -> input.toAbsolutePath().normalize().equals(absolute));
    if (taken) {
      throw new CommandFailedException(target + ": the figure would replace an input");
    }
  }

  /** The result of reading an option, whose mistakes are the user's. */
  private <T> T usable(Supplier<T> reading) {
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
