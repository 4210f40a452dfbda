package org.unetrpp.cli;

import org.unetrpp.engine.Engine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** Says what this machine can compute on. */
@Command(
    name = "devices",
    description = "Says what this machine can compute on, and what is missing where it cannot.",
    mixinStandardHelpOptions = true)
final class DevicesCommand implements Subcommand {
  @Mixin private CommonOptions common = new CommonOptions();

  @Override
  public Integer call() {
    Engine.report().forEach(System.out::println);
    return ExitCode.OK;
  }
}
