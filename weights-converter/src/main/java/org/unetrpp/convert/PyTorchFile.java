package org.unetrpp.convert;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;

/**
 * A checkpoint of PyTorch: the zip format of 1.6 and later, the legacy format before it, and
 * TorchScript archives. Tensors are named by the keys that lead to them, joined by {@code /}.
 *
 * <p>Nothing in a file is run, and nothing is allocated that the file's size does not cover.
 */
public final class PyTorchFile implements TensorFile {
  private static final int MAX_METADATA_LENGTH = 1000;

  private final Path path;
  private final Arena arena;
  private final String format;
  private final SequencedMap<String, StoredTensor> tensors;
  private final Map<String, String> metadata;

  private PyTorchFile(Path path, Arena arena, CheckpointReader.Content content) {
    this.path = path;
    this.arena = arena;
    this.format = content.format();
    this.tensors = Collections.unmodifiableSequencedMap(content.tensors());
    this.metadata = metadata(content.root());
  }

  /**
   * Opens a checkpoint.
   *
   * @throws org.unetrpp.files.InvalidFileException if the file is damaged, no checkpoint, or holds
   *     what is not plain data
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena lives as long as the file that is returned
  public static PyTorchFile open(Path path) throws IOException {
    Arena arena = Arena.ofShared();
    try {
      return new PyTorchFile(
          path, arena, CheckpointReader.read(path, TensorFiles.map(path, arena), arena));
    } catch (IOException | RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public String format() {
    return format;
  }

  @Override
  public SequencedMap<String, StoredTensor> tensors() {
    return tensors;
  }

  /** The texts and numbers at the checkpoint's top, such as {@code epoch}. */
  @Override
  public Map<String, String> metadata() {
    return metadata;
  }

  @Override
  public void close() {
    arena.close();
  }

  private static Map<String, String> metadata(PyValue root) {
    Map<String, String> metadata = new LinkedHashMap<>();
    if (root instanceof PyValue.Dict dict) {
      dict.values()
          .forEach((key, value) -> {
            String text =
                switch (value) {
                  case PyValue.Text(String string) -> string;
                  case PyValue.Int(BigInteger number) -> number.toString();
                  case PyValue.Real(double number) -> Double.toString(number);
                  case PyValue.Bool(boolean truth) -> Boolean.toString(truth);
                  default -> "";
                };
            if (!text.isEmpty() && text.length() <= MAX_METADATA_LENGTH) {
              metadata.put(key.text(), text);
            }
          });
    }
    return Collections.unmodifiableMap(metadata);
  }
}
