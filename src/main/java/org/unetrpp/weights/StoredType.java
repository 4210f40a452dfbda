package org.unetrpp.weights;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;

/** Element type of a tensor in a file; always little-endian there. */
public enum StoredType {
  /** One byte, 0 or 1. */
  BOOL("bool", 1),
  UINT8("uint8", 1),
  INT8("int8", 1),
  INT16("int16", 2),
  INT32("int32", 4),
  INT64("int64", 8),
  FLOAT16("float16", 2),
  BFLOAT16("bfloat16", 2),
  FLOAT32("float32", 4),
  FLOAT64("float64", 8);

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final String text;
  private final int bytes;

  StoredType(String text, int bytes) {
    this.text = text;
    this.bytes = bytes;
  }

  /** The type of a name such as {@code float32}, if there is one. */
  public static Optional<StoredType> named(String text) {
    return Arrays.stream(values()).filter(type -> type.text.equals(text)).findFirst();
  }

  /** The type's name, as NumPy and PyTorch spell it. */
  public String text() {
    return text;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** Whether elements are floating-point numbers. */
  public boolean isFloating() {
    return switch (this) {
      case FLOAT16, BFLOAT16, FLOAT32, FLOAT64 -> true;
      case BOOL, UINT8, INT8, INT16, INT32, INT64 -> false;
    };
  }

  /**
   * Reads elements as floats, rounded to nearest where a float cannot hold the value.
   *
   * @param source elements of this type, packed
   * @param first index of the first element to read
   * @param values receives the elements from index 0
   * @param count number of elements
   */
  void read(MemorySegment source, long first, float[] values, int count) {
    long start = first * bytes;
    switch (this) {
      case FLOAT32 -> MemorySegment.copy(source, FLOAT, start, values, 0, count);
      case FLOAT64 -> {
        for (int i = 0; i < count; i++) {
          values[i] = (float) source.get(DOUBLE, start + 8L * i);
        }
      }
      case FLOAT16 -> {
        for (int i = 0; i < count; i++) {
          values[i] = Float.float16ToFloat(source.get(SHORT, start + 2L * i));
        }
      }
      case BFLOAT16 -> {
        for (int i = 0; i < count; i++) {
          values[i] = Float.intBitsToFloat(source.get(SHORT, start + 2L * i) << 16);
        }
      }
      case BOOL -> {
        for (int i = 0; i < count; i++) {
          values[i] = source.get(ValueLayout.JAVA_BYTE, start + i) == 0 ? 0 : 1;
        }
      }
      case UINT8 -> {
        for (int i = 0; i < count; i++) {
          values[i] = Byte.toUnsignedInt(source.get(ValueLayout.JAVA_BYTE, start + i));
        }
      }
      case INT8 -> {
        for (int i = 0; i < count; i++) {
          values[i] = source.get(ValueLayout.JAVA_BYTE, start + i);
        }
      }
      case INT16 -> {
        for (int i = 0; i < count; i++) {
          values[i] = source.get(SHORT, start + 2L * i);
        }
      }
      case INT32 -> {
        for (int i = 0; i < count; i++) {
          values[i] = source.get(INT, start + 4L * i);
        }
      }
      case INT64 -> {
        for (int i = 0; i < count; i++) {
          values[i] = source.get(LONG, start + 8L * i);
        }
      }
    }
  }

  /**
   * Writes floats as elements of this type, bfloat16 rounded to nearest, ties to even.
   *
   * @param values the elements, from index 0
   * @param count number of elements
   * @param target receives the elements, packed, from its start
   * @throws IllegalArgumentException if this is neither {@link #FLOAT32} nor {@link #BFLOAT16}
   */
  void write(float[] values, int count, MemorySegment target) {
    switch (this) {
      case FLOAT32 -> MemorySegment.copy(values, 0, target, FLOAT, 0, count);
      case BFLOAT16 -> {
        for (int i = 0; i < count; i++) {
          target.set(SHORT, 2L * i, toBfloat16(values[i]));
        }
      }
      default ->
          throw new IllegalArgumentException(
              "values cannot be written as " + text + ", expected float32 or bfloat16");
    }
  }

  private static short toBfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits >>> 16) | 0x40); // quiet, so that dropping low bits leaves no infinity
    }
    int roundToEven = 0x7fff + ((bits >>> 16) & 1);
    return (short) ((bits + roundToEven) >>> 16);
  }
}
