package org.unetrpp.weights;

import java.nio.file.Path;
import java.util.Map;
import java.util.SequencedMap;
import org.unetrpp.files.InvalidFileException;

/** An open file of named tensors; closing it makes its tensors unusable. */
public interface TensorFile extends AutoCloseable {
  /** The file. */
  Path path();

  /** What kind of file it is, for people: {@code safetensors} or {@code zip version 3}. */
  String format();

  /** The tensors by name, in the file's order. */
  SequencedMap<String, StoredTensor> tensors();

  /**
   * The tensor of a name.
   *
   * @throws InvalidFileException if the file has none
   */
  default StoredTensor tensor(String name) throws InvalidFileException {
    StoredTensor tensor = tensors().get(name);
    if (tensor == null) {
      throw new InvalidFileException(path(), "has no tensor " + name);
    }
    return tensor;
  }

  /** Texts beside the tensors, by key; empty where the format has none. */
  Map<String, String> metadata();

  @Override
  void close();
}
