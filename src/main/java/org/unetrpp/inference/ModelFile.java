package org.unetrpp.inference;

import com.google.errorprone.annotations.MustBeClosed;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Backend;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkState;
import org.unetrpp.model.StateEntry;
import org.unetrpp.model.StateEntry.Role;
import org.unetrpp.model.StateLayout;
import org.unetrpp.nn.Parameters;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.weights.SafeTensors;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;
import org.unetrpp.weights.TensorFile;
import org.unetrpp.weights.TensorFiles;

/**
 * A model in one self-describing file: safetensors with the tensors of {@link StateLayout} under
 * their published names (aliases left out) and a {@link ModelDescription} as JSON in its metadata.
 */
public final class ModelFile implements AutoCloseable {
  private static final String FORMAT_VERSION = "1";
  private static final String VERSION_KEY = "unetrpp_format_version";
  private static final String ARCHITECTURE_KEY = "architecture";
  private static final String LABELS_KEY = "labels";
  private static final String PREPROCESSING_KEY = "preprocessing";
  private static final String PROVENANCE_KEY = "provenance";
  private static final Gson JSON =
      new GsonBuilder()
          .registerTypeAdapterFactory(new CompleteRecords(CompleteRecords.Unknown.IGNORED))
          .create();

  private final TensorFile file;
  private final ModelDescription description;

  private ModelFile(TensorFile file, ModelDescription description) {
    this.file = file;
    this.description = description;
  }

  /**
   * Opens a model file; its weights stay on the disk until loaded.
   *
   * @throws InvalidFileException if it is no model file, is damaged, or lacks a tensor
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the tensors live as long as the file that is returned
  public static ModelFile open(Path path) throws IOException {
    return of(TensorFiles.open(path));
  }

  /**
   * Opens a model file whose content is in memory, with the same checks.
   *
   * @param name what messages call it; no file of this name is touched
   * @param content all of its bytes, which are copied
   * @throws InvalidFileException if it is no model file, is damaged, or lacks a tensor
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the tensors live as long as the file that is returned
  public static ModelFile open(Path name, byte[] content) throws IOException {
    return of(SafeTensors.open(name, content));
  }

  /** The model in an open file, which is closed if there is none. */
  private static ModelFile of(TensorFile file) throws IOException {
    Path path = file.path();
    try {
      if (!isModel(file)) {
        throw new InvalidFileException(
            path,
            "a file of tensors (%s), not a model file; 'unetrpp convert' makes one of a checkpoint"
                .formatted(file.format()));
      }
      ModelDescription description = readDescription(path, file.metadata());
      requireTensors(path, file.tensors(), description.architecture());
      return new ModelFile(file, description);
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /** Whether an open file of tensors is a model file. */
  public static boolean isModel(TensorFile file) {
    return file.metadata().containsKey(VERSION_KEY);
  }

  /**
   * Writes a model file in one piece.
   *
   * @param tensors values of every entry of the architecture's {@link StateLayout} that is no
   *     alias; deep supervision heads and counters may be missing
   * @param type float32 or bfloat16
   * @throws IllegalArgumentException if a tensor is missing, has another shape or holds whole
   *     numbers
   */
  public static void write(
      Path target, ModelDescription description, Collection<StoredTensor> tensors, StoredType type)
      throws IOException {
    SequencedMap<String, StoredTensor> byName = new LinkedHashMap<>();
    tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
    List<String> problems = problems(byName, description.architecture());
    if (!problems.isEmpty()) {
      throw new IllegalArgumentException(String.join("; ", problems));
    }
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put(VERSION_KEY, FORMAT_VERSION);
    metadata.put(ARCHITECTURE_KEY, JSON.toJson(description.architecture()));
    metadata.put(LABELS_KEY, JSON.toJson(description.labels()));
    metadata.put(PREPROCESSING_KEY, JSON.toJson(description.preprocessing()));
    metadata.put(PROVENANCE_KEY, JSON.toJson(description.provenance()));
    SafeTensors.write(target, tensors, metadata, type);
  }

  /** What kind of file it is, for people. */
  public String format() {
    return file.format();
  }

  /** What the file says beside its weights. */
  public ModelDescription description() {
    return description;
  }

  /** The tensors by published name. */
  public SequencedMap<String, StoredTensor> tensors() {
    return file.tensors();
  }

  /** Copies the weights to a device, deep supervision heads included where the file has them. */
  @MustBeClosed
  public Parameters load(Backend backend) {
    return NetworkState.load(
        backend,
        description.architecture(),
        hasSupervisionHeads(file.tensors()),
        (entry, scratch) -> tensor(entry.name()).floats(scratch));
  }

  private StoredTensor tensor(String name) {
    StoredTensor tensor = file.tensors().get(name);
    if (tensor == null) {
      throw new IllegalStateException(name + " was there when the file was opened");
    }
    return tensor;
  }

  @Override
  public void close() {
    file.close();
  }

  private static ModelDescription readDescription(Path path, Map<String, String> metadata)
      throws InvalidFileException {
    String version = metadata.get(VERSION_KEY);
    if (!FORMAT_VERSION.equals(version)) {
      throw new InvalidFileException(
          path, "model format version %s, expected %s".formatted(version, FORMAT_VERSION));
    }
    Architecture architecture = parse(path, metadata, ARCHITECTURE_KEY, Architecture.class);
    LabelClass[] labels = parse(path, metadata, LABELS_KEY, LabelClass[].class);
    PreprocessingPlan preprocessing =
        parse(path, metadata, PREPROCESSING_KEY, PreprocessingPlan.class);
    Provenance provenance = parse(path, metadata, PROVENANCE_KEY, Provenance.class);
    try {
      return new ModelDescription(architecture, Arrays.asList(labels), preprocessing, provenance);
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(path, "metadata: " + e.getMessage(), e);
    }
  }

  /** Reads one JSON text of the metadata. */
  private static <T> T parse(Path path, Map<String, String> metadata, String key, Class<T> type)
      throws InvalidFileException {
    String json = metadata.get(key);
    if (json == null) {
      throw new InvalidFileException(path, "metadata has no '" + key + "'");
    }
    @Nullable T value;
    try {
      value = JSON.fromJson(json, type);
    } catch (JsonParseException e) {
      throw new InvalidFileException(
          path, "metadata '%s' is not valid: %s".formatted(key, e.getMessage()), e);
    } catch (RuntimeException e) { // what a record's constructor refuses
      Throwable cause = e.getCause() == null ? e : e.getCause();
      throw new InvalidFileException(
          path, "metadata '%s' is not valid: %s".formatted(key, cause.getMessage()), e);
    }
    if (value == null) {
      throw new InvalidFileException(path, "metadata '%s' is empty".formatted(key));
    }
    return value;
  }

  private static void requireTensors(
      Path path, Map<String, StoredTensor> tensors, Architecture architecture)
      throws InvalidFileException {
    List<String> problems = problems(tensors, architecture);
    if (!problems.isEmpty()) {
      throw new InvalidFileException(path, String.join("; ", problems));
    }
  }

  private static List<String> problems(
      Map<String, StoredTensor> tensors, Architecture architecture) {
    boolean supervised = hasSupervisionHeads(tensors);
    List<String> problems = new ArrayList<>();
    for (StateEntry entry : StateLayout.of(architecture)) {
      boolean optional =
          entry.aliasOf() != null
              || entry.role() == Role.COUNTER
              || (!supervised && NetworkState.isSupervisionHead(entry.name()));
      StoredTensor tensor = tensors.get(entry.name());
      if (tensor == null) {
        if (!optional) {
          problems.add("tensor " + entry.name() + " is missing");
        }
      } else if (!tensor.shapeText().equals(entry.shapeText())) {
        problems.add(
            "tensor %s has shape %s, expected %s"
                .formatted(entry.name(), tensor.shapeText(), entry.shapeText()));
      } else if (entry.role() != Role.COUNTER && !tensor.type().isFloating()) {
        problems.add(
            "tensor %s is of %s, expected floating-point numbers"
                .formatted(entry.name(), tensor.type().text()));
      }
    }
    return problems.size() <= 5 ? problems : shortened(problems);
  }

  private static List<String> shortened(List<String> problems) {
    List<String> first = new ArrayList<>(problems.subList(0, 5));
    first.add("and %d more".formatted(problems.size() - 5));
    return first;
  }

  private static boolean hasSupervisionHeads(Map<String, StoredTensor> tensors) {
    return tensors.keySet().stream().anyMatch(NetworkState::isSupervisionHead);
  }
}
