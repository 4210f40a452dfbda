package org.unetrpp.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.CancellationException;
import org.unetrpp.engine.DeviceUnavailableException;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.inference.EmbeddedModels;
import org.unetrpp.memory.DeviceMemoryException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;

/** Entry point of the command line. */
@Command(
    name = "unetrpp",
    description = "Segments CT and MRI volumes with UNETR++.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    subcommandsRepeatable = false)
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    System.exit(run(args));
  }

  /** Runs a command line and returns the exit code; nothing it throws gets out. */
  public static int run(String... args) {
    return run(EmbeddedModels.ofThisBuild(), args);
  }

  /** The same with other models for those who name none, or one that is no file. */
  static int run(EmbeddedModels models, String... args) {
    List<Subcommand> commands = new ArrayList<>();
    commands.add(new SegmentCommand(models));
    commands.add(new PlanCommand());
    commands.add(new TrainCommand(new PlannedParts(), Interruption::requested));
    ServiceLoader.load(Subcommand.class).forEach(commands::add);
    commands.add(new ValidateCommand());
    commands.add(new EvaluateCommand());
    commands.add(new DeterminePostprocessingCommand());
    commands.add(new PostprocessCommand());
    commands.add(new EnsembleCommand());
    commands.add(new FigureCommand(models));
    commands.add(new PreprocessCommand());
    commands.add(new CompareCommand());
    commands.add(new InfoCommand(models));
    commands.add(new ForwardCommand());
    commands.add(new BenchmarkCommand(models));
    commands.add(new DevicesCommand());
    return run(commands, args);
  }

  /** The same with certain commands, in the order in which help lists them. */
  static int run(List<Subcommand> commands, String... args) {
    CommandLine line = new CommandLine(new Main());
    commands.forEach(line::addSubcommand);
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setParameterExceptionHandler(Main::usageError);
    line.setExecutionExceptionHandler((exception, command, _) -> failure(exception, command));
    try (var _ = Interruption.watch()) {
      return args.length == 0 ? line.execute("--help") : line.execute(args);
    } catch (OutOfMemoryError e) {
      new CommonOptions().console().error(outOfMemory(e));
      return ExitCode.FAILED;
    }
  }

  private static String outOfMemory(OutOfMemoryError error) {
    return "out of memory (%s); Java may use %s"
        .formatted(error.getMessage(), MemorySize.text(Runtime.getRuntime().maxMemory()));
  }

  private static int usageError(ParameterException exception, String[] args) {
    CommandLine command = exception.getCommandLine();
    command.getErr().println("error: " + firstLine(String.valueOf(exception.getMessage())));
    command.getErr().println("see: " + command.getCommandSpec().qualifiedName() + " --help");
    return ExitCode.USAGE;
  }

  private static int failure(Exception exception, CommandLine command) {
    return report(exception, "", options(command));
  }

  /**
   * Tells the user of a failure and returns the exit code that goes with it.
   *
   * @param prefix of the message, such as which case it is
   */
  static int report(Exception exception, String prefix, CommonOptions options) {
    options.console().error(prefix + message(exception));
    if (options.verbose) {
      options.console().trace(exception);
    }
    return switch (exception) {
      case CancellationException _ -> ExitCode.CANCELLED;
      case InvalidFileException _, NoSuchFileException _ -> ExitCode.BAD_INPUT;
      case DeviceUnavailableException _ -> ExitCode.DEVICE;
      default -> ExitCode.FAILED;
    };
  }

  /** What a user is told of a failure: one line. */
  static String message(Exception exception) {
    String message = exception.getMessage();
    return switch (exception) {
      case CancellationException _ -> "cancelled";
      case NoSuchFileException e -> e.getFile() + ": no such file";
      case AccessDeniedException e -> e.getFile() + ": permission denied";
      case FileAlreadyExistsException e -> e.getFile() + ": exists and is no folder";
      case NotDirectoryException e -> e.getFile() + ": not a folder";
      case FileSystemException e when e.getReason() != null -> e.getFile() + ": " + e.getReason();
      case IOException _ when message != null -> firstLine(message);
      case UncheckedIOException e when e.getCause() != null -> message(e.getCause());
      case IllegalArgumentException _,
          ArithmeticException _,
          CommandFailedException _,
          DeviceMemoryException _,
          DeviceUnavailableException _
          when message != null ->
          firstLine(message);
      default -> exception.getClass().getSimpleName() + ": " + message + " (-v shows the cause)";
    };
  }

  private static CommonOptions options(CommandLine command) {
    return command.getCommand() instanceof Subcommand subcommand
        ? subcommand.common()
        : new CommonOptions();
  }

  private static String firstLine(String message) {
    return message.lines().findFirst().orElse(message);
  }
}
