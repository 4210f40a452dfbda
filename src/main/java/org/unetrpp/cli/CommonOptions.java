package org.unetrpp.cli;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that every command has. */
public final class CommonOptions {
  @Option(
      names = {"-v", "--verbose"},
      description = "Show the causes of errors.")
  boolean verbose;

  @Option(
      names = "--log",
      paramLabel = "text|json",
      description = "Form of messages on the error stream.",
      defaultValue = "text")
  private Console.Format log = Console.Format.TEXT;

  private @Nullable Console console;

  /** Where the command's messages go. */
  @SuppressWarnings("SystemConsoleNull") // jdk.console can still be set to a provider without one
  public Console console() {
    if (console == null) {
      java.io.Console terminal = System.console();
      console = new Console(System.err, log, terminal != null && terminal.isTerminal());
    }
    return console;
  }
}
