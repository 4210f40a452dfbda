package org.unetrpp.cli;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that every command has. */
public final class CommonOptions {
  private static final String TERMINAL_PROPERTY = "unetrpp.terminal";

  @Option(
      names = {"-v", "--verbose"},
      description = "Show the causes of errors, and how long stages took.")
  boolean verbose;

  @Option(
      names = "--log",
      paramLabel = "text|json",
      description = "Form of messages on the error stream.",
      defaultValue = "text")
  private Console.Format log = Console.Format.TEXT;

  private @Nullable Console console;

  /** Where the command's messages go. */
  public Console console() {
    if (console == null) {
      console = new Console(System.err, log, isTerminal());
    }
    return console;
  }

  /** Whether a person watches: what the launcher found about the error stream, else a guess. */
  @SuppressWarnings("SystemConsoleNull") // jdk.console can still be set to a provider without one
  private static boolean isTerminal() {
    String told = System.getProperty(TERMINAL_PROPERTY);
    if (told != null) {
      return Boolean.parseBoolean(told);
    }
    java.io.Console terminal = System.console();
    return terminal != null && terminal.isTerminal();
  }
}
