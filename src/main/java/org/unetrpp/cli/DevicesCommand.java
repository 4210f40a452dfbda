package org.unetrpp.cli;

import org.unetrpp.engine.Engine;
import picocli.CommandLine.Command;

/** Says what this machine can compute on. */
@Command(
    name = "devices",
    description = "Says what this machine can compute on, and what is missing where it cannot.",
    mixinStandardHelpOptions = true)
final class DevicesCommand extends Subcommand {
  @Override
  public Integer call() {
    Engine.report().forEach(System.out::println);
    return ExitCode.OK;
  }
}
