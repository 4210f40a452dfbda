package org.unetrpp.files;

import java.io.IOException;
import java.nio.file.Path;

/** A file that is not what it should be; the message names the file and what is wrong with it. */
public final class InvalidFileException extends IOException {
  private static final long serialVersionUID = 1L;

  /**
   * @param path the file
   * @param problem what is wrong, with the key or byte offset where there is one
   */
  public InvalidFileException(Path path, String problem) {
    super(path + ": " + problem);
  }

  /**
   * @param path the file
   * @param problem what is wrong, with the key or byte offset where there is one
   * @param cause what found it
   */
  public InvalidFileException(Path path, String problem, Throwable cause) {
    super(path + ": " + problem, cause);
  }
}
