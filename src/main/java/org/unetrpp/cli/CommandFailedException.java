package org.unetrpp.cli;

/** A command cannot do what it was asked; the message is the line that the user sees. */
public final class CommandFailedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public CommandFailedException(String message) {
    super(message);
  }
}
