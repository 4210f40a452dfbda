package org.unetrpp.dataset;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Something wrong with a data set.
 *
 * @param severity whether training can go on
 * @param path the file or folder
 * @param what is wrong with it
 */
public record Problem(Severity severity, Path path, String what) {
  /** Whether training can go on. */
  public enum Severity {
    /** It cannot. */
    ERROR,
    /** It can, but a person should know. */
    WARNING
  }

  static Problem error(Path path, String what) {
    return new Problem(Severity.ERROR, path, what);
  }

  static Problem warning(Path path, String what) {
    return new Problem(Severity.WARNING, path, what);
  }

  /** A file that cannot be read. */
  static Problem unreadable(Path path, IOException exception) {
    String message = String.valueOf(exception.getMessage());
    String prefix = path + ": ";
    String what =
        exception instanceof NoSuchFileException
            ? "no such file"
            : message.startsWith(prefix) ? message.substring(prefix.length()) : message;
    return error(path, what.equals(path.toString()) ? "cannot be read" : what);
  }

  /** Whether training cannot go on. */
  public boolean isError() {
    return severity == Severity.ERROR;
  }

  @Override
  public String toString() {
    return path + ": " + what;
  }
}
