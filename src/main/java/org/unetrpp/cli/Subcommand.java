package org.unetrpp.cli;

import java.util.concurrent.Callable;

/**
 * A command of the command line, annotated for picocli. Commands of other modules are found as
 * services of this type.
 */
public interface Subcommand extends Callable<Integer> {}
