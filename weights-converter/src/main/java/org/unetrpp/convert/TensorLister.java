package org.unetrpp.convert;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.unetrpp.files.InvalidFileException;

/** Finds the tensors in a pickle's value and names each by the keys that lead to it. */
final class TensorLister {
  private static final int MAX_DEPTH = 100;
  private static final int MAX_STEPS = 2_000_000;

  private final Path path;
  private final String separator;
  private final SequencedMap<String, PyValue.Tensor> tensors = new LinkedHashMap<>();
  private int steps;

  private TensorLister(Path path, String separator) {
    this.path = path;
    this.separator = separator;
  }

  /**
   * The tensors by name, in the order of the pickle.
   *
   * @param path the file, for messages
   * @param root the pickle's value
   * @param separator between keys: {@code /}, or a dot for the attributes of TorchScript
   * @throws InvalidFileException if two tensors have one name, or the value is nested too deep
   */
  static SequencedMap<String, PyValue.Tensor> list(Path path, PyValue root, String separator)
      throws InvalidFileException {
    TensorLister lister = new TensorLister(path, separator);
    lister.visit(root, "", 0);
    return lister.tensors;
  }

  private void visit(PyValue value, String name, int depth) throws InvalidFileException {
    // Shared and cyclic values could be walked for ever.
    if (depth > MAX_DEPTH || ++steps > MAX_STEPS) {
      throw new InvalidFileException(
          path, "the pickle is nested too deep at '%s'".formatted(shortened(name)));
    }
    switch (value) {
      case PyValue.Tensor tensor -> {
        if (tensors.put(name, tensor) != null) {
          throw new InvalidFileException(path, "has two tensors named " + shortened(name));
        }
      }
      case PyValue.Dict dict -> {
        for (var entry : dict.values().sequencedEntrySet()) {
          visitChild(entry.getValue(), name, entry.getKey().text(), depth);
        }
      }
      case PyValue.Items items -> visitAll(items.values(), name, depth);
      case PyValue.Tuple(List<PyValue> items) -> visitAll(items, name, depth);
      case PyValue.ScriptObject object -> visit(object.state(), name, depth + 1);
      default -> {
        // Plain data holds no tensor.
      }
    }
  }

  private void visitAll(List<PyValue> items, String name, int depth) throws InvalidFileException {
    for (int i = 0; i < items.size(); i++) {
      visitChild(items.get(i), name, Integer.toString(i), depth);
    }
  }

  private void visitChild(PyValue value, String parent, String key, int depth)
      throws InvalidFileException {
    switch (value) {
      case PyValue.Tensor _,
          PyValue.Dict _,
          PyValue.Items _,
          PyValue.Tuple _,
          PyValue.ScriptObject _ ->
          visit(value, parent.isEmpty() ? key : parent + separator + key, depth + 1);
      default -> steps++;
    }
  }

  private static String shortened(String name) {
    return name.length() <= 100 ? name : name.substring(0, 100) + "...";
  }
}
