package org.unetrpp.weights;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.file.Path;

/**
 * A file format that holds named tensors. Implementations are found as services, so that a program
 * reads as many formats as it has on its class path.
 */
public interface TensorFormat {
  /** Whether the first bytes are those of this format; says nothing about the rest. */
  boolean recognizes(Path path) throws IOException;

  /**
   * Opens a file and checks all that can be checked without reading values.
   *
   * @throws org.unetrpp.files.InvalidFileException if the file is damaged or not of this format
   */
  @MustBeClosed
  TensorFile open(Path path) throws IOException;
}
