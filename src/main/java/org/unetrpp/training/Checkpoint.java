package org.unetrpp.training;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.inference.Provenance;
import org.unetrpp.weights.SafeTensors;
import org.unetrpp.weights.StoredTensor;
import org.unetrpp.weights.StoredType;
import org.unetrpp.weights.TensorFile;

/**
 * All that is needed to go on with a run as if it had not ended: a safetensors file with the
 * trainer's arrays and, in its metadata, where the run stands. The bytes depend on the run alone,
 * not on time or machine; a checksum tells whether they are still as they were written.
 *
 * @param planHash {@link PlanHash} of the plan that is trained
 * @param fold that is trained
 * @param sources files that the network started from
 * @param state where the run stands
 * @param tensors {@link Trainer#snapshot}
 */
public record Checkpoint(
    String planHash,
    String fold,
    List<Provenance.Source> sources,
    RunState state,
    SequencedMap<String, float[]> tensors) {
  private static final String FORMAT_VERSION = "1";
  private static final String VERSION_KEY = "unetrpp_checkpoint_version";
  private static final String PLAN_KEY = "plan_sha256";
  private static final String FOLD_KEY = "fold";
  private static final String SOURCES_KEY = "sources";
  private static final String STATE_KEY = "state";
  private static final String CHECKSUM_KEY = "crc32c";

  /** Means over nothing are NaN, which JSON proper has no word for. */
  private static final Gson JSON = new GsonBuilder().serializeSpecialFloatingPointValues().create();

  public Checkpoint {
    sources = List.copyOf(sources);
  }

  /** Writes the file in one piece; what was there stays until the new one is on the disk. */
  public void write(Path target) throws IOException {
    // Every platform that there is an engine for is little-endian, as the file is.
    List<StoredTensor> stored =
        tensors.entrySet().stream()
            .map(tensor -> stored(tensor.getKey(), tensor.getValue()))
            .toList();
    SequencedMap<String, String> metadata = new LinkedHashMap<>();
    metadata.put(VERSION_KEY, FORMAT_VERSION);
    metadata.put(PLAN_KEY, planHash);
    metadata.put(FOLD_KEY, fold);
    metadata.put(SOURCES_KEY, JSON.toJson(sources));
    metadata.put(STATE_KEY, JSON.toJson(state));
    metadata.put(CHECKSUM_KEY, checksum(stored, metadata));
    SafeTensors.write(target, stored, metadata, StoredType.FLOAT32);
  }

  private static StoredTensor stored(String name, float[] values) {
    return StoredTensor.of(
        name, StoredType.FLOAT32, List.of((long) values.length), MemorySegment.ofArray(values));
  }

  /**
   * Reads a file.
   *
   * @throws InvalidFileException if it is no checkpoint or damaged
   */
  public static Checkpoint read(Path path) throws IOException {
    try (TensorFile file = new SafeTensors().open(path)) {
      Map<String, String> metadata = file.metadata();
      String version = metadata.get(VERSION_KEY);
      if (!FORMAT_VERSION.equals(version)) {
        throw new InvalidFileException(
            path,
            version == null
                ? "not a checkpoint of a training run"
                : "checkpoint format version %s, expected %s".formatted(version, FORMAT_VERSION));
      }
      Map<String, String> summed = new LinkedHashMap<>(metadata);
      String expected = String.valueOf(summed.remove(CHECKSUM_KEY));
      String found = checksum(file.tensors().values(), summed);
      if (!found.equals(expected)) {
        throw new InvalidFileException(
            path, "damaged: checksum %s, expected %s".formatted(found, expected));
      }
      SequencedMap<String, float[]> tensors = new LinkedHashMap<>();
      file.tensors().forEach((name, tensor) -> tensors.put(name, tensor.toFloats()));
      return new Checkpoint(
          text(path, metadata, PLAN_KEY),
          text(path, metadata, FOLD_KEY),
          List.of(parse(path, metadata, SOURCES_KEY, Provenance.Source[].class)),
          parse(path, metadata, STATE_KEY, RunState.class),
          tensors);
    }
  }

  /**
   * Reads the name of the fold that is trained, and nothing else of a file.
   *
   * @throws InvalidFileException if it is no checkpoint
   */
  public static String readFold(Path path) throws IOException {
    try (TensorFile file = new SafeTensors().open(path)) {
      return text(path, file.metadata(), FOLD_KEY);
    }
  }

  /**
   * Checks that this is of a certain run.
   *
   * @param path where it was read from
   * @throws InvalidFileException if it is of another plan or fold
   */
  public void requireOf(String expectedPlan, String expectedFold, Path path) throws IOException {
    if (!planHash.equals(expectedPlan)) {
      throw new InvalidFileException(
          path,
          "of another plan (sha256 %s, expected %s): plan, epochs and seed must be as at the start"
              .formatted(start(planHash), start(expectedPlan)));
    }
    if (!fold.equals(expectedFold)) {
      throw new InvalidFileException(
          path, "of fold %s, expected fold %s".formatted(fold, expectedFold));
    }
  }

  private static String start(String hash) {
    return hash.substring(0, Math.min(12, hash.length()));
  }

  private static String text(Path path, Map<String, String> metadata, String key)
      throws InvalidFileException {
    String value = metadata.get(key);
    if (value == null) {
      throw new InvalidFileException(path, "metadata has no '" + key + "'");
    }
    return value;
  }

  private static <T> T parse(Path path, Map<String, String> metadata, String key, Class<T> type)
      throws InvalidFileException {
    @Nullable T value;
    try {
      value = JSON.fromJson(text(path, metadata, key), type);
    } catch (RuntimeException e) { // bad JSON, or what a record's constructor refuses
      throw new InvalidFileException(path, "metadata '%s' is not valid".formatted(key), e);
    }
    if (value == null) {
      throw new InvalidFileException(path, "metadata '%s' is empty".formatted(key));
    }
    return value;
  }

  /** CRC-32C of names, shapes, values and texts, in hexadecimal. */
  private static String checksum(Collection<StoredTensor> tensors, Map<String, String> metadata)
      throws IOException {
    CRC32C crc = new CRC32C();
    try (OutputStream out = new CheckedOutputStream(OutputStream.nullOutputStream(), crc)) {
      for (StoredTensor tensor : tensors) {
        out.write(tensor.toString().getBytes(StandardCharsets.UTF_8));
        tensor.writeTo(out);
      }
      for (Map.Entry<String, String> entry : metadata.entrySet()) {
        out.write((entry.getKey() + "=" + entry.getValue()).getBytes(StandardCharsets.UTF_8));
      }
    }
    return "%08x".formatted(crc.getValue());
  }
}
