package org.unetrpp.weights;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.files.InvalidFileException;

/**
 * NumPy's {@code .npy} files of floating-point numbers: float16, float32 and float64 of either byte
 * order and axis order are read, float32 is written. See <a
 * href="https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html">numpy.lib.format</a>.
 */
public final class NumpyFile {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final int ALIGNMENT = 64;
  private static final int LARGEST_ENTRY = Integer.MAX_VALUE - 16;
  private static final Pattern ITEM =
      Pattern.compile(
          "'(descr|fortran_order|shape)'\\s*:\\s*"
              + "('[^']*'|True|False|\\([\\d,\\s]*\\))\\s*(,\\s*|(?=\\}))");
  private static final Pattern DESCRIPTION = Pattern.compile("'([<>])f([248])'");

  private final Path path;
  private final MemorySegment file;

  private NumpyFile(Path path, MemorySegment file) {
    this.path = path;
    this.file = file;
  }

  /**
   * An array in memory.
   *
   * @param shape extents, slowest axis first; empty for a scalar
   * @param values the values in C order
   */
  @SuppressWarnings("ArrayRecordComponent") // a carrier of values, compared by nobody
  public record Array(List<Integer> shape, float[] values) {
    public Array {
      shape = List.copyOf(shape);
      long elements = shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact);
      if (elements != values.length) {
        throw new IllegalArgumentException(
            "%d values, expected %d for shape %s".formatted(values.length, elements, shape));
      }
    }
  }

  private record Header(
      boolean bigEndian, int bytes, boolean fortran, List<Integer> shape, long end) {}

  /**
   * Reads a file of floating-point numbers as float32 in C order.
   *
   * @throws InvalidFileException if the file is damaged, of another type, or not as long as its
   *     header says
   */
  public static Array read(Path path) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      return new NumpyFile(path, TensorFiles.map(path, arena)).read();
    }
  }

  /**
   * Reads an array of a {@code .npz} file as {@link #read} does.
   *
   * @param name of the array
   * @throws InvalidFileException if the file is no archive, has no such array, or one that is
   *     damaged, of another type, or larger than 2 GiB
   */
  public static Array readZipped(Path path, String name) throws IOException {
    try (ZipFile archive = new ZipFile(path.toFile())) {
      ZipEntry entry = archive.getEntry(name + ".npy");
      if (entry == null) {
        throw new InvalidFileException(path, "holds no array '%s'".formatted(name));
      }
      try (InputStream content = archive.getInputStream(entry)) {
        byte[] bytes = content.readNBytes(LARGEST_ENTRY);
        if (content.read() >= 0) {
          throw new InvalidFileException(path, "array '%s' is over 2 GiB".formatted(name));
        }
        return new NumpyFile(path, MemorySegment.ofArray(bytes)).read();
      }
    } catch (ZipException e) {
      throw new InvalidFileException(path, "no valid .npz file: " + e.getMessage(), e);
    }
  }

  /** Writes float32 in C order, little-endian, in one piece. */
  public static void write(Path path, Array array) throws IOException {
    String dictionary =
        "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"
            .formatted(shapeText(array.shape()));
    int start = MAGIC.length + 4;
    int padded = Math.ceilDiv(start + dictionary.length() + 1, ALIGNMENT) * ALIGNMENT - start;
    String header = dictionary + " ".repeat(padded - dictionary.length() - 1) + "\n";
    List<Long> shape = array.shape().stream().map(Integer::longValue).toList();
    StoredTensor tensor = StoredTensor.ofFloats("array", shape, array.values());
    AtomicFile.write(
        path,
        out -> {
          out.write(MAGIC);
          out.write(new byte[] {1, 0, (byte) padded, (byte) (padded >>> 8)});
          out.write(header.getBytes(StandardCharsets.ISO_8859_1));
          tensor.writeTo(out);
        });
  }

  private static String shapeText(List<Integer> shape) {
    return shape.stream()
        .map(String::valueOf)
        .collect(Collectors.joining(", ", "(", shape.size() == 1 ? ",)" : ")"));
  }

  private Array read() throws InvalidFileException {
    Header header = header();
    long elements = elements(header.shape);
    long expected = Math.addExact(header.end, Math.multiplyExact(elements, header.bytes));
    if (elements > Integer.MAX_VALUE - 8 || expected != file.byteSize()) {
      throw new InvalidFileException(
          path,
          "has %d bytes, expected %d for %s of float%d"
              .formatted(file.byteSize(), expected, header.shape, 8 * header.bytes));
    }
    float[] stored = values(header, (int) elements);
    return new Array(
        header.shape, header.fortran ? fromFortranOrder(stored, header.shape) : stored);
  }

  private long elements(List<Integer> shape) throws InvalidFileException {
    try {
      long elements = shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact);
      Math.multiplyExact(elements, 16L);
      return elements;
    } catch (ArithmeticException e) {
      throw new InvalidFileException(path, "shape " + shape + " is larger than any file", e);
    }
  }

  private Header header() throws InvalidFileException {
    if (file.byteSize() < 12
        || file.asSlice(0, MAGIC.length).mismatch(MemorySegment.ofArray(MAGIC)) >= 0) {
      throw new InvalidFileException(path, "not a .npy file: it does not begin with \\x93NUMPY");
    }
    int version = file.get(ValueLayout.JAVA_BYTE, 6);
    if (version < 1 || version > 3) {
      throw new InvalidFileException(
          path, "has .npy version %d, expected 1 to 3".formatted(version));
    }
    int start = version == 1 ? 10 : 12;
    long length = 0;
    for (int i = start - 1; i >= 8; i--) {
      length = (length << 8) | Byte.toUnsignedInt(file.get(ValueLayout.JAVA_BYTE, i));
    }
    if (length > Math.min(file.byteSize() - start, 1 << 16)) {
      throw new InvalidFileException(
          path, "header length is %d in a file of %d bytes".formatted(length, file.byteSize()));
    }
    byte[] text = file.asSlice(start, length).toArray(ValueLayout.JAVA_BYTE);
    return parse(new String(text, StandardCharsets.UTF_8), start + length);
  }

  private Header parse(String header, long end) throws InvalidFileException {
    Map<String, String> items = items(header.strip());
    String type = items.get("descr");
    String order = items.get("fortran_order");
    String shape = items.get("shape");
    if (type == null || order == null || shape == null || !shape.startsWith("(")) {
      throw new InvalidFileException(
          path, "the header at byte 10 lacks one of descr, fortran_order and shape: " + header);
    }
    Matcher description = DESCRIPTION.matcher(type);
    if (!description.matches()) {
      throw new InvalidFileException(
          path, "has values of type %s, expected '<f4', '<f2', '<f8' or '>...'".formatted(type));
    }
    return new Header(
        ">".equals(description.group(1)),
        Integer.parseInt(description.group(2)),
        order.equals("True"),
        shape(shape),
        end);
  }

  private Map<String, String> items(String header) throws InvalidFileException {
    Map<String, String> items = new HashMap<>();
    Matcher item = ITEM.matcher(header);
    int position = 1;
    while (item.region(Math.min(position, header.length()), header.length()).lookingAt()) {
      if (items.put(item.group(1), item.group(2)) != null) {
        throw new InvalidFileException(path, "the header has " + item.group(1) + " twice");
      }
      position = item.end();
    }
    if (!header.startsWith("{") || !header.substring(position).equals("}")) {
      throw new InvalidFileException(path, "the header at byte 10 cannot be read: " + header);
    }
    return items;
  }

  private List<Integer> shape(String text) throws InvalidFileException {
    List<Integer> shape = new ArrayList<>();
    Matcher extent = Pattern.compile("\\d+").matcher(text);
    while (extent.find()) {
      try {
        shape.add(Integer.parseInt(extent.group()));
      } catch (NumberFormatException e) {
        throw new InvalidFileException(path, "has extent %s in its shape".formatted(text), e);
      }
    }
    return shape;
  }

  private float[] values(Header header, int elements) {
    ByteOrder order = header.bigEndian ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
    float[] values = new float[elements];
    switch (header.bytes) {
      case 2 -> {
        ValueLayout.OfShort layout = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(order);
        for (int i = 0; i < elements; i++) {
          values[i] = Float.float16ToFloat(file.get(layout, header.end + 2L * i));
        }
      }
      case 8 -> {
        ValueLayout.OfDouble layout = ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(order);
        for (int i = 0; i < elements; i++) {
          values[i] = (float) file.get(layout, header.end + 8L * i);
        }
      }
      default -> {
        ValueLayout.OfFloat layout = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(order);
        MemorySegment.copy(file, layout, header.end, values, 0, elements);
      }
    }
    return values;
  }

  private static float[] fromFortranOrder(float[] stored, List<Integer> shape) {
    float[] values = new float[stored.length];
    int[] index = new int[shape.size()];
    for (float value : stored) { // the first axis is the fastest here
      int target = 0;
      for (int axis = 0; axis < index.length; axis++) {
        target = target * shape.get(axis) + index[axis];
      }
      values[target] = value;
      for (int axis = 0; axis < index.length && ++index[axis] == shape.get(axis); axis++) {
        index[axis] = 0;
      }
    }
    return values;
  }
}
