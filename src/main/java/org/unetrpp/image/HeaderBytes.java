package org.unetrpp.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * The bytes of a header, read and set by field. All of them are kept, also those without a name.
 */
final class HeaderBytes {
  private final HeaderFormat format;
  private final ByteBuffer bytes;

  /**
   * @param bytes as many as the format has
   */
  HeaderBytes(HeaderFormat format, ByteOrder order, byte[] bytes) {
    this.format = format;
    this.bytes = ByteBuffer.wrap(bytes).order(order);
  }

  HeaderFormat format() {
    return format;
  }

  ByteOrder order() {
    return bytes.order();
  }

  HeaderBytes copy() {
    return new HeaderBytes(format, order(), toArray());
  }

  byte[] toArray() {
    return bytes.array().clone();
  }

  long whole(HeaderField field) {
    return whole(field, 0);
  }

  /** An entry of an integer field; of a field of floating point, the part before the point. */
  long whole(HeaderField field, int index) {
    int offset = field.offset(format, index);
    return switch (field.storage(format)) {
      case INT8 -> bytes.get(offset);
      case INT16 -> bytes.getShort(offset);
      case INT32 -> bytes.getInt(offset);
      case INT64 -> bytes.getLong(offset);
      case FLOAT32, FLOAT64 -> (long) real(field, index);
    };
  }

  double real(HeaderField field) {
    return real(field, 0);
  }

  double real(HeaderField field, int index) {
    int offset = field.offset(format, index);
    return switch (field.storage(format)) {
      case FLOAT32 -> bytes.getFloat(offset);
      case FLOAT64 -> bytes.getDouble(offset);
      case INT8, INT16, INT32, INT64 -> (double) whole(field, index);
    };
  }

  /** Characters up to the first zero. */
  String text(HeaderField field, int length) {
    int start = field.offset(format, 0);
    int end = start;
    while (end < start + length && bytes.get(end) != 0) {
      end++;
    }
    return new String(bytes.array(), start, end - start, StandardCharsets.ISO_8859_1);
  }

  /** A 16-bit integer at a byte offset, for what has no name of its own. */
  short shortAt(int offset) {
    return bytes.getShort(offset);
  }

  void set(HeaderField field, double value) {
    set(field, 0, value);
  }

  /** Sets one entry, rounded to what its field stores. */
  void set(HeaderField field, int index, double value) {
    int offset = field.offset(format, index);
    switch (field.storage(format)) {
      case INT8 -> bytes.put(offset, (byte) value);
      case INT16 -> bytes.putShort(offset, (short) value);
      case INT32 -> bytes.putInt(offset, (int) value);
      case INT64 -> bytes.putLong(offset, (long) value);
      case FLOAT32 -> bytes.putFloat(offset, (float) value);
      case FLOAT64 -> bytes.putDouble(offset, value);
    }
  }

  /** Sets characters, the rest of the field to zeros. */
  void setText(HeaderField field, int length, String text) {
    byte[] characters = text.getBytes(StandardCharsets.ISO_8859_1);
    for (int i = 0; i < length; i++) {
      bytes.put(field.offset(format, i), i < characters.length ? characters[i] : 0);
    }
  }

  /** Names a field for a message: "dim[1] at byte 42". */
  String locate(HeaderField field, int index) {
    return "%s[%d] at byte %d".formatted(field, index, field.offset(format, index));
  }

  /** Names a field of one entry for a message: "datatype at byte 70". */
  String locate(HeaderField field) {
    return "%s at byte %d".formatted(field, field.offset(format, 0));
  }
}
