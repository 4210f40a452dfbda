package org.unetrpp.weights;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import java.io.EOFException;
import java.io.IOException;
import java.io.StringReader;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;

/** Reads and checks the header of a safetensors file. */
final class SafeTensorsHeader {
  private static final long MAX_HEADER_BYTES = 100_000_000;
  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path path;
  private final MemorySegment values;
  private final SequencedMap<String, Entry> entries = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  private SafeTensorsHeader(Path path, MemorySegment values) {
    this.path = path;
    this.values = values;
  }

  private record Entry(String name, StoredType type, List<Long> shape, long begin, long end) {}

  /**
   * Reads the header of a file.
   *
   * @throws InvalidFileException if anything in it is not as the format or the file's size asks for
   */
  static SafeTensorsHeader parse(Path path, MemorySegment file) throws IOException {
    if (file.byteSize() < SafeTensors.LENGTH_BYTES) {
      throw new InvalidFileException(
          path, "has %d bytes, too few for a header length".formatted(file.byteSize()));
    }
    long length = file.get(LENGTH, 0);
    long rest = file.byteSize() - SafeTensors.LENGTH_BYTES;
    if (length < 0 || length > Math.min(rest, MAX_HEADER_BYTES)) {
      throw new InvalidFileException(
          path,
          "header length is %s, expected at most %d: the file is cut off or damaged"
              .formatted(Long.toUnsignedString(length), Math.min(rest, MAX_HEADER_BYTES)));
    }
    MemorySegment text = file.asSlice(SafeTensors.LENGTH_BYTES, length);
    SafeTensorsHeader header =
        new SafeTensorsHeader(path, file.asSlice(SafeTensors.LENGTH_BYTES + length));
    header.read(header.decode(text));
    header.requireOffsetsCoverTheFile();
    return header;
  }

  SequencedMap<String, StoredTensor> tensors() {
    SequencedMap<String, StoredTensor> tensors = new LinkedHashMap<>();
    for (Entry entry : entries.values()) {
      MemorySegment bytes = values.asSlice(entry.begin, entry.end - entry.begin);
      tensors.put(entry.name, StoredTensor.of(entry.name, entry.type, entry.shape, bytes));
    }
    return tensors;
  }

  Map<String, String> metadata() {
    return metadata;
  }

  private String decode(MemorySegment text) throws InvalidFileException {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(text.asByteBuffer()).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidFileException(path, "the header is not UTF-8", e);
    }
  }

  private void read(String text) throws IOException {
    try (JsonReader json = new JsonReader(new StringReader(text))) {
      json.setStrictness(Strictness.STRICT);
      json.beginObject();
      boolean metadataSeen = false;
      while (json.hasNext()) {
        String name = json.nextName();
        boolean seen = name.equals(SafeTensors.METADATA) ? metadataSeen : entries.containsKey(name);
        if (seen) {
          throw invalid(name, "occurs twice");
        }
        if (name.equals(SafeTensors.METADATA)) {
          metadataSeen = true;
          readMetadata(json);
        } else {
          entries.put(name, readEntry(name, json));
        }
      }
      json.endObject();
      if (json.peek() != JsonToken.END_DOCUMENT) {
        throw new InvalidFileException(path, "text follows the header's JSON object");
      }
    } catch (MalformedJsonException | IllegalStateException | EOFException e) {
      throw new InvalidFileException(path, "the header is not the JSON it should be", e);
    }
  }

  private void readMetadata(JsonReader json) throws IOException {
    json.beginObject();
    while (json.hasNext()) {
      String key = json.nextName();
      if (json.peek() != JsonToken.STRING) {
        throw invalid(SafeTensors.METADATA, "holds a value of %s that is no text".formatted(key));
      }
      if (metadata.put(key, json.nextString()) != null) {
        throw invalid(SafeTensors.METADATA, "holds %s twice".formatted(key));
      }
    }
    json.endObject();
  }

  private Entry readEntry(String name, JsonReader json) throws IOException {
    @Nullable StoredType type = null;
    @Nullable List<Long> shape = null;
    @Nullable List<Long> offsets = null;
    json.beginObject();
    while (json.hasNext()) {
      String field = json.nextName();
      switch (field) {
        case "dtype" -> type = readType(name, json);
        case "shape" -> shape = readNumbers(name, field, json);
        case "data_offsets" -> offsets = readNumbers(name, field, json);
        default -> throw invalid(name, "has an unknown field " + field);
      }
    }
    json.endObject();
    if (type == null || shape == null || offsets == null) {
      throw invalid(name, "lacks one of dtype, shape and data_offsets");
    }
    return checked(name, type, shape, offsets);
  }

  private StoredType readType(String name, JsonReader json) throws IOException {
    String text = json.nextString();
    return SafeTensors.type(text)
        .orElseThrow(() -> invalid(name, "has type " + text + ", which is not supported"));
  }

  private List<Long> readNumbers(String name, String field, JsonReader json) throws IOException {
    List<Long> numbers = new ArrayList<>();
    json.beginArray();
    while (json.hasNext()) {
      String text = json.peek() == JsonToken.NUMBER ? json.nextString() : "no number";
      if (!text.matches("\\d{1,18}")) {
        throw invalid(name, "has %s in %s, expected a whole number from 0".formatted(text, field));
      }
      numbers.add(Long.parseLong(text));
    }
    json.endArray();
    return numbers;
  }

  private Entry checked(String name, StoredType type, List<Long> shape, List<Long> offsets)
      throws InvalidFileException {
    if (offsets.size() != 2) {
      throw invalid(name, "has %d data_offsets, expected 2".formatted(offsets.size()));
    }
    long begin = offsets.get(0);
    long end = offsets.get(1);
    if (begin > end || end > values.byteSize()) {
      throw invalid(
          name,
          "lies at bytes %d to %d, but the file has %d bytes of values"
              .formatted(begin, end, values.byteSize()));
    }
    long size = byteSize(name, type, shape);
    if (size != end - begin) {
      throw invalid(
          name,
          "has %d bytes, expected %d for %s of %s"
              .formatted(end - begin, size, shape, type.text()));
    }
    return new Entry(name, type, shape, begin, end);
  }

  private long byteSize(String name, StoredType type, List<Long> shape)
      throws InvalidFileException {
    try {
      return shape.stream().reduce((long) type.bytes(), Math::multiplyExact);
    } catch (ArithmeticException e) {
      throw invalid(name, "has shape %s, larger than any file".formatted(shape), e);
    }
  }

  private void requireOffsetsCoverTheFile() throws InvalidFileException {
    long expected = 0;
    List<Entry> placed =
        entries.values().stream()
            .sorted(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end))
            .toList();
    for (Entry entry : placed) {
      if (entry.begin != expected) {
        throw invalid(
            entry.name,
            "begins at byte %d of the values, expected %d: tensors overlap or leave a gap"
                .formatted(entry.begin, expected));
      }
      expected = entry.end;
    }
    if (expected != values.byteSize()) {
      throw new InvalidFileException(
          path,
          "the tensors end at byte %d of the values, but the file has %d"
              .formatted(expected, values.byteSize()));
    }
  }

  private InvalidFileException invalid(String name, String problem) {
    return new InvalidFileException(path, "tensor " + name + " " + problem);
  }

  private InvalidFileException invalid(String name, String problem, Throwable cause) {
    return new InvalidFileException(path, "tensor " + name + " " + problem, cause);
  }
}
