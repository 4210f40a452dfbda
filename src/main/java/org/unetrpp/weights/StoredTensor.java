package org.unetrpp.weights;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * A named tensor of a file. Values stay in the mapped file until asked for, so a tensor is usable
 * only as long as its {@link TensorFile} is open.
 */
public final class StoredTensor {
  private static final int CHUNK_ELEMENTS = 1 << 16;

  private final String name;
  private final StoredType type;
  private final List<Long> shape;
  private final StoredType originType;
  private final Supplier<MemorySegment> origin;

  private StoredTensor(
      String name,
      StoredType type,
      List<Long> shape,
      StoredType originType,
      Supplier<MemorySegment> origin) {
    this.name = name;
    this.type = type;
    this.shape = shape;
    this.originType = originType;
    this.origin = origin;
  }

  /**
   * A tensor of bytes that are there.
   *
   * @param bytes elements in C order, little-endian, packed
   * @throws IllegalArgumentException if {@code bytes} is not as long as shape and type ask for
   */
  public static StoredTensor of(
      String name, StoredType type, List<Long> shape, MemorySegment bytes) {
    StoredTensor tensor = new StoredTensor(name, type, List.copyOf(shape), type, () -> bytes);
    if (bytes.byteSize() != tensor.byteSize()) {
      throw new IllegalArgumentException(
          "%s has %d bytes, expected %d for %s of %s"
              .formatted(name, bytes.byteSize(), tensor.byteSize(), tensor.shapeText(), type));
    }
    return tensor;
  }

  /**
   * A tensor whose bytes are gathered anew each time they are asked for.
   *
   * @param bytes gives the elements in C order, little-endian, packed
   */
  public static StoredTensor gathered(
      String name, StoredType type, List<Long> shape, Supplier<MemorySegment> bytes) {
    return new StoredTensor(name, type, List.copyOf(shape), type, bytes);
  }

  /**
   * A float32 tensor of values in memory, which are copied.
   *
   * @throws IllegalArgumentException if {@code values} is not as long as the shape asks for
   */
  public static StoredTensor ofFloats(String name, List<Long> shape, float[] values) {
    MemorySegment bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(4, values.length)]);
    StoredType.FLOAT32.write(values, values.length, bytes);
    return of(name, StoredType.FLOAT32, shape, bytes);
  }

  /** The name in the file. */
  public String name() {
    return name;
  }

  /** The element type. */
  public StoredType type() {
    return type;
  }

  /** Extents, slowest axis first; empty for a scalar. */
  public List<Long> shape() {
    return shape;
  }

  /** The shape as in messages: {@code (32, 1, 2, 4, 4)}. */
  public String shapeText() {
    return shape.stream().map(String::valueOf).collect(Collectors.joining(", ", "(", ")"));
  }

  /** Number of values. */
  public long elements() {
    return shape.stream().mapToLong(Long::longValue).reduce(1, Math::multiplyExact);
  }

  /** Bytes of all values. */
  public long byteSize() {
    return Math.multiplyExact(elements(), type.bytes());
  }

  /** The same tensor under another name. */
  public StoredTensor renamed(String newName) {
    return new StoredTensor(newName, type, shape, originType, origin);
  }

  /**
   * The same values in another type, converted when they are read; bfloat16 is rounded to nearest,
   * ties to even.
   *
   * @throws IllegalArgumentException if the type is another one and neither float32 nor bfloat16
   */
  public StoredTensor as(StoredType newType) {
    if (newType == type) {
      return this;
    }
    if (newType != StoredType.FLOAT32 && newType != StoredType.BFLOAT16) {
      throw new IllegalArgumentException(
          "%s cannot become %s, expected float32 or bfloat16".formatted(name, newType.text()));
    }
    Supplier<MemorySegment> source = originType == type ? origin : this::bytes;
    return new StoredTensor(name, newType, shape, type, source);
  }

  /** The values in C order, little-endian, packed: the file's own bytes wherever they are so. */
  public MemorySegment bytes() {
    MemorySegment source = origin.get();
    if (type == originType) {
      return source.asReadOnly();
    }
    MemorySegment converted = Arena.ofAuto().allocate(byteSize(), 8);
    float[] values = new float[CHUNK_ELEMENTS];
    for (long first = 0; first < elements(); first += CHUNK_ELEMENTS) {
      int count = chunk(first);
      originType.read(source, first, values, count);
      type.write(values, count, converted.asSlice(first * type.bytes()));
    }
    return converted.asReadOnly();
  }

  /**
   * The values as floats of this machine's byte order, in C order, rounded to nearest where a float
   * cannot hold them: the file's own bytes wherever they are so, else in memory of {@code memory}.
   */
  public MemorySegment floats(SegmentAllocator memory) {
    boolean littleEndian = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;
    if (type == StoredType.FLOAT32 && originType == type && littleEndian) {
      return bytes();
    }
    MemorySegment source = bytes();
    MemorySegment floats = memory.allocate(ValueLayout.JAVA_FLOAT, elements());
    float[] values = new float[(int) Math.min(CHUNK_ELEMENTS, elements())];
    for (long first = 0; first < elements(); first += CHUNK_ELEMENTS) {
      int count = chunk(first);
      type.read(source, first, values, count);
      MemorySegment.copy(values, 0, floats, ValueLayout.JAVA_FLOAT, first * Float.BYTES, count);
    }
    return floats;
  }

  /**
   * The values as floats in C order, rounded to nearest where a float cannot hold them.
   *
   * @throws ArithmeticException if there are more values than an array holds
   */
  public float[] toFloats() {
    float[] values = new float[Math.toIntExact(elements())];
    type.read(bytes(), 0, values, values.length);
    return values;
  }

  /** Writes {@link #bytes} to a stream in pieces, so that little memory is needed. */
  public void writeTo(OutputStream out) throws IOException {
    MemorySegment source = origin.get();
    float[] values = new float[type == originType ? 0 : CHUNK_ELEMENTS];
    byte[] bytes = new byte[CHUNK_ELEMENTS * type.bytes()];
    MemorySegment piece = MemorySegment.ofArray(bytes);
    for (long first = 0; first < elements(); first += CHUNK_ELEMENTS) {
      int count = chunk(first);
      if (type == originType) {
        MemorySegment.copy(source, first * type.bytes(), piece, 0, (long) count * type.bytes());
      } else {
        originType.read(source, first, values, count);
        type.write(values, count, piece);
      }
      out.write(bytes, 0, count * type.bytes());
    }
  }

  /** SHA-256 of {@link #bytes} in lower-case hexadecimal. */
  public String sha256() {
    try (DigestOutputStream out =
        new DigestOutputStream(
            OutputStream.nullOutputStream(), MessageDigest.getInstance("SHA-256"))) {
      writeTo(out);
      return HexFormat.of().formatHex(out.getMessageDigest().digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no SHA-256, which every Java must have", e);
    } catch (IOException e) {
      throw new UncheckedIOException("a stream that goes nowhere failed", e);
    }
  }

  private int chunk(long first) {
    return (int) Math.min(CHUNK_ELEMENTS, elements() - first);
  }

  @Override
  public String toString() {
    return name + " " + type.text() + shapeText();
  }
}
