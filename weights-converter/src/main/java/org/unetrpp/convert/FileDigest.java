package org.unetrpp.convert;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;
import org.unetrpp.weights.TensorFiles;

/** Digests of whole files. */
final class FileDigest {
  private FileDigest() {}

  /** SHA-256 of a file in lower-case hexadecimal. */
  static String sha256(Path path) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment file = TensorFiles.map(path, arena);
      return StoredTensor.of("file", StoredType.UINT8, List.of(file.byteSize()), file).sha256();
    }
  }
}
