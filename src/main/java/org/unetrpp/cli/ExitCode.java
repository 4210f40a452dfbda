package org.unetrpp.cli;

/** What the process tells its caller. */
final class ExitCode {
  static final int OK = 0;
  static final int FAILED = 1;
  static final int USAGE = 2;
  static final int BAD_INPUT = 3;
  static final int DEVICE = 4;
  static final int CANCELLED = 130;

  private ExitCode() {}
}
