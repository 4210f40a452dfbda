package org.unetrpp.weights;

import com.google.errorprone.annotations.MustBeClosed;
import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import org.unetrpp.files.AtomicFile;

/**
 * The safetensors format: eight bytes of header length, a JSON header, the values.
 *
 * <p>Reading maps the file and checks every size in it before any value is touched. See <a
 * href="https://github.com/huggingface/safetensors">huggingface/safetensors</a>.
 */
public final class SafeTensors implements TensorFormat {
  static final String METADATA = "__metadata__";
  static final int LENGTH_BYTES = 8;
  private static final int ALIGNMENT = 8;

  /** Header names of the types, where this project knows the type. */
  private static final Map<String, StoredType> TYPES =
      Map.of(
          "BOOL", StoredType.BOOL,
          "U8", StoredType.UINT8,
          "I8", StoredType.INT8,
          "I16", StoredType.INT16,
          "I32", StoredType.INT32,
          "I64", StoredType.INT64,
          "F16", StoredType.FLOAT16,
          "BF16", StoredType.BFLOAT16,
          "F32", StoredType.FLOAT32,
          "F64", StoredType.FLOAT64);

  @Override
  public boolean recognizes(Path path) throws IOException {
    byte[] start = TensorFiles.firstBytes(path, LENGTH_BYTES + 1);
    // A length below 2^40 before a JSON object: too long a header is told when opening.
    return start.length == LENGTH_BYTES + 1
        && start[LENGTH_BYTES] == '{'
        && Arrays.equals(start, 5, LENGTH_BYTES, new byte[3], 0, 3);
  }

  @Override
  @MustBeClosed
  public TensorFile open(Path path) throws IOException {
    return open(path, arena -> TensorFiles.map(path, arena));
  }

  /**
   * Opens a file whose content is in memory, with the checks of {@link #open(Path)}.
   *
   * @param name what messages call it; no file of this name is touched
   * @param content all of its bytes, which are copied
   * @throws org.unetrpp.files.InvalidFileException if the content is damaged or not of this format
   */
  @MustBeClosed
  public static TensorFile open(Path name, byte[] content) throws IOException {
    return open(name, arena -> copy(content, arena));
  }

  /** Brings the bytes of a file within reach for the life of an arena. */
  @FunctionalInterface
  private interface Source {
    MemorySegment bytes(Arena arena) throws IOException;
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena lives as long as the file that is returned
  private static TensorFile open(Path path, Source source) throws IOException {
    Arena arena = Arena.ofShared();
    try {
      SafeTensorsHeader header = SafeTensorsHeader.parse(path, source.bytes(arena));
      return new Opened(path, arena, header.tensors(), header.metadata());
    } catch (IOException | RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  private static MemorySegment copy(byte[] content, Arena arena) {
    return arena
        .allocate(content.length, ALIGNMENT)
        .copyFrom(MemorySegment.ofArray(content))
        .asReadOnly();
  }

  /**
   * Writes a file in one piece.
   *
   * @param target the file, replaced if it exists
   * @param tensors the tensors in the order of the header; their own names count
   * @param metadata texts beside the tensors
   * @param floatingType float32 or bfloat16, for every floating-point tensor; others stay as they
   *     are
   * @throws IllegalArgumentException if two tensors share a name, or the type is another one
   */
  public static void write(
      Path target,
      Collection<StoredTensor> tensors,
      Map<String, String> metadata,
      StoredType floatingType)
      throws IOException {
    List<StoredTensor> stored =
        tensors.stream()
            .map(tensor -> tensor.type().isFloating() ? tensor.as(floatingType) : tensor)
            .toList();
    // Wider types first keep every value aligned, whatever the order of the names.
    List<StoredTensor> placed =
        stored.stream()
            .sorted(Comparator.comparingInt((StoredTensor tensor) -> -tensor.type().bytes()))
            .toList();
    byte[] header = header(stored, offsets(placed), metadata);
    AtomicFile.write(
        target,
        out -> {
          writeHeader(header, out);
          for (StoredTensor tensor : placed) {
            tensor.writeTo(out);
          }
        });
  }

  static Optional<StoredType> type(String name) {
    return Optional.ofNullable(TYPES.get(name));
  }

  private static Map<String, Long> offsets(List<StoredTensor> placed) {
    Map<String, Long> offsets = new HashMap<>();
    long offset = 0;
    for (StoredTensor tensor : placed) {
      if (offsets.put(tensor.name(), offset) != null || tensor.name().equals(METADATA)) {
        throw new IllegalArgumentException("two tensors are named " + tensor.name());
      }
      offset = Math.addExact(offset, tensor.byteSize());
    }
    return offsets;
  }

  private static byte[] header(
      List<StoredTensor> tensors, Map<String, Long> offsets, Map<String, String> metadata)
      throws IOException {
    StringWriter text = new StringWriter();
    try (JsonWriter json = new JsonWriter(text)) {
      json.beginObject();
      json.name(METADATA).beginObject();
      for (Map.Entry<String, String> entry : metadata.entrySet()) {
        json.name(entry.getKey()).value(entry.getValue());
      }
      json.endObject();
      for (StoredTensor tensor : tensors) {
        writeEntry(tensor, offsets.getOrDefault(tensor.name(), 0L), json);
      }
      json.endObject();
    }
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static void writeEntry(StoredTensor tensor, long offset, JsonWriter json)
      throws IOException {
    json.name(tensor.name()).beginObject();
    json.name("dtype").value(typeName(tensor.type()));
    json.name("shape").beginArray();
    for (long extent : tensor.shape()) {
      json.value(extent);
    }
    json.endArray();
    json.name("data_offsets").beginArray();
    json.value(offset).value(offset + tensor.byteSize());
    json.endArray();
    json.endObject();
  }

  private static String typeName(StoredType type) {
    return TYPES.entrySet().stream()
        .filter(entry -> entry.getValue() == type)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElseThrow();
  }

  private static void writeHeader(byte[] header, OutputStream out) throws IOException {
    int padded = Math.ceilDiv(header.length, ALIGNMENT) * ALIGNMENT;
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    out.write(length.putLong(padded).array());
    out.write(header);
    out.write(" ".repeat(padded - header.length).getBytes(StandardCharsets.US_ASCII));
  }

  /** A file within reach of an arena. */
  private record Opened(
      Path path,
      Arena arena,
      SequencedMap<String, StoredTensor> tensors,
      Map<String, String> metadata)
      implements TensorFile {
    private Opened {
      tensors = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(tensors));
      metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    }

    @Override
    public String format() {
      return "safetensors";
    }

    @Override
    public void close() {
      arena.close();
    }
  }
}
