package org.unetrpp.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;

/**
 * A command of the command line, annotated for picocli. Commands of other modules are found as
 * services of this type.
 */
public abstract class Subcommand implements Callable<Integer> {
  @Mixin private CommonOptions common = new CommonOptions();

  /** Where messages and progress go. */
  protected final Console console() {
    return common.console();
  }

  /** Options that every command has. */
  final CommonOptions common() {
    return common;
  }
}
