package org.unetrpp.convert;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.weights.StoredType;

/** A value of a pickle: plain data, tensors and NumPy arrays, and nothing that could run. */
sealed interface PyValue {
  /** What the value is, for messages. */
  default String kind() {
    return getClass().getSimpleName().toLowerCase(Locale.ROOT);
  }

  /** The parts of a list, tuple or NumPy array; none of anything else. */
  static List<PyValue> parts(PyValue value) {
    return switch (value) {
      case Items items -> items.values();
      case Tuple(List<PyValue> values) -> values;
      case NumpyArray array -> array.elements();
      default -> List.of();
    };
  }

  /** Python's {@code None}. */
  enum None implements PyValue {
    NONE;

    @Override
    public String kind() {
      return "None";
    }
  }

  record Bool(boolean value) implements PyValue {}

  record Int(BigInteger value) implements PyValue {
    static Int of(long value) {
      return new Int(BigInteger.valueOf(value));
    }
  }

  record Real(double value) implements PyValue {}

  record Text(String value) implements PyValue {}

  /** A byte string. */
  final class Bytes implements PyValue {
    private final byte[] values;

    Bytes(byte[] values) {
      this.values = values;
    }

    /** The bytes themselves, not to be changed. */
    byte[] values() {
      return values;
    }
  }

  /** A list or set, which grows while it is read. */
  final class Items implements PyValue {
    private final List<PyValue> values = new ArrayList<>(0);

    List<PyValue> values() {
      return values;
    }

    @Override
    public String kind() {
      return "list";
    }
  }

  record Tuple(List<PyValue> values) implements PyValue {
    public Tuple {
      values = List.copyOf(values);
    }
  }

  /** A dictionary, ordered or not, which grows while it is read. */
  final class Dict implements PyValue {
    private final SequencedMap<Key, PyValue> values = new LinkedHashMap<>(0);

    SequencedMap<Key, PyValue> values() {
      return values;
    }

    /** The value of a text key. */
    Optional<PyValue> get(String key) {
      return Optional.ofNullable(values.get(new Key(Key.Kind.TEXT, key)));
    }

    /** The value of a whole-number key. */
    Optional<PyValue> get(long key) {
      return Optional.ofNullable(values.get(new Key(Key.Kind.OTHER, Long.toString(key))));
    }
  }

  /**
   * A key of a dictionary. Its order lets a map stay fast under keys chosen to collide.
   *
   * @param kind keeps the text "1" and the number 1 apart
   * @param text the key as Python prints it
   */
  record Key(Kind kind, String text) implements Comparable<Key> {
    enum Kind {
      TEXT,
      OTHER
    }

    /** The key of a value, or null if such a value cannot be one. */
    static @Nullable Key of(PyValue value) {
      if (value instanceof Text(String text)) {
        return new Key(Kind.TEXT, text);
      }
      if (value instanceof Tuple(List<PyValue> parts)) {
        List<String> texts = new ArrayList<>();
        for (PyValue part : parts) {
          String text = scalarText(part);
          if (text == null) {
            return null;
          }
          texts.add(text);
        }
        return new Key(Kind.OTHER, "(" + String.join(", ", texts) + ")");
      }
      String text = scalarText(value);
      return text == null ? null : new Key(Kind.OTHER, text);
    }

    private static @Nullable String scalarText(PyValue value) {
      return switch (value) {
        case None _ -> "None";
        case Bool(boolean truth) -> truth ? "True" : "False";
        case Int(BigInteger number) -> number.toString();
        case Real(double number) -> Double.toString(number);
        case Text(String text) -> "'" + text + "'";
        default -> null;
      };
    }

    @Override
    public int compareTo(Key other) {
      int byKind = kind.compareTo(other.kind);
      return byKind != 0 ? byKind : text.compareTo(other.text);
    }
  }

  /** One of the few functions and classes that a pickle may name. */
  record Callable(PickleFunction function) implements PyValue {}

  /** The class of a storage: its element type, or null for untyped bytes. */
  record StorageClass(@Nullable StoredType type) implements PyValue {}

  /** An element type of PyTorch. */
  record TorchType(StoredType type) implements PyValue {}

  /**
   * Memory that tensors view.
   *
   * @param key its name in the file
   * @param type element type, or null for untyped bytes
   * @param elements number of elements of {@code type}, or of bytes
   * @param first element where this view of the memory begins
   * @param count elements of this view
   */
  record Storage(String key, @Nullable StoredType type, long elements, long first, long count)
      implements PyValue {
    /** Bytes of the whole memory. */
    long byteSize() {
      return Math.multiplyExact(elements, type == null ? 1 : type.bytes());
    }
  }

  /**
   * A view of a storage.
   *
   * @param type element type
   * @param offset of the first element from the storage's begin, in elements of {@code type}
   * @param strides in elements, as many as extents in {@code shape}
   */
  record Tensor(Storage storage, StoredType type, long offset, List<Long> shape, List<Long> strides)
      implements PyValue {}

  /** An element type of NumPy; its byte order comes after it was made. */
  final class NumpyType implements PyValue {
    private final char letter;
    private final int bytes;
    private boolean bigEndian;

    NumpyType(char letter, int bytes) {
      this.letter = letter;
      this.bytes = bytes;
    }

    /**
     * {@code b} boolean, {@code i} signed, {@code u} unsigned, {@code f} floating point, {@code U}
     * text, {@code O} any values.
     */
    char letter() {
      return letter;
    }

    int bytes() {
      return bytes;
    }

    boolean bigEndian() {
      return bigEndian;
    }

    void setBigEndian(boolean bigEndian) {
      this.bigEndian = bigEndian;
    }

    /** A value of an array of this type, which is not of any values. */
    PyValue value(byte[] content, int index) {
      return switch (letter) {
        case 'b' -> new Bool(content[index] != 0);
        case 'f' -> new Real(real(content, index));
        case 'U' -> new Text(text(content, index));
        default -> new Int(integer(content, index));
      };
    }

    /** Characters of four bytes each, filled up with zeros. */
    private String text(byte[] content, int index) {
      MemorySegment segment = MemorySegment.ofArray(content);
      StringBuilder text = new StringBuilder();
      for (long offset = (long) index * bytes; offset < (index + 1L) * bytes; offset += 4) {
        int character = segment.get(ValueLayout.JAVA_INT_UNALIGNED.withOrder(order()), offset);
        if (character != 0) {
          text.appendCodePoint(Character.isValidCodePoint(character) ? character : '\uFFFD');
        }
      }
      return text.toString();
    }

    private ByteOrder order() {
      return bigEndian ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
    }

    private double real(byte[] content, int index) {
      MemorySegment segment = MemorySegment.ofArray(content);
      ByteOrder order = order();
      long offset = (long) index * bytes;
      return switch (bytes) {
        case 2 ->
            Float.float16ToFloat(
                segment.get(ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(order), offset));
        case 4 -> segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(order), offset);
        default -> segment.get(ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(order), offset);
      };
    }

    private BigInteger integer(byte[] content, int index) {
      byte[] digits = new byte[bytes]; // most significant first
      int start = index * bytes;
      for (int i = 0; i < bytes; i++) {
        digits[i] = content[bigEndian ? start + i : start + bytes - 1 - i];
      }
      return letter == 'i' ? new BigInteger(digits) : new BigInteger(1, digits);
    }
  }

  /** An array of NumPy; its content comes after it was made. */
  final class NumpyArray implements PyValue {
    private NumpyType type = new NumpyType('O', 8);
    private byte[] content = new byte[0];
    private List<PyValue> objects = List.of();

    /** The values, those of the last axis fastest. */
    List<PyValue> elements() {
      return type.letter() == 'O'
          ? objects
          : IntStream.range(0, content.length / type.bytes())
              .mapToObj(index -> type.value(content, index))
              .toList();
    }

    /** Gives the array the bytes of values of a type. */
    void fill(NumpyType newType, byte[] newContent) {
      type = newType;
      content = newContent;
    }

    /** Gives the array values of any types. */
    void fill(List<PyValue> newObjects) {
      objects = List.copyOf(newObjects);
    }
  }

  /** A class of a TorchScript archive. */
  record ScriptClass(String name) implements PyValue {}

  /** An object of a TorchScript archive: its attributes. */
  final class ScriptObject implements PyValue {
    private PyValue state = None.NONE;

    PyValue state() {
      return state;
    }

    void setState(PyValue state) {
      this.state = state;
    }
  }
}
