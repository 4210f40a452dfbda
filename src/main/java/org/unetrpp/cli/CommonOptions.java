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

  private static boolean isTerminal() {
    java.io.Console terminal = System.console();
    return terminal != null && terminal.isTerminal();
  }

  /** Where the command's messages go. */
  public Console console() {
    if (console == null) {
      console = new Console(System.err, log, isTerminal());
    }
    return console;
  }
}
