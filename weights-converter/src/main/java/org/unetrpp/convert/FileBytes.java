package org.unetrpp.convert;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.unetrpp.files.InvalidFileException;

/** Bytes read from front to end, never past it; keeps the place for messages. */
final class FileBytes {
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble BIG_ENDIAN_DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

  private final Path path;
  private final String place;
  private final MemorySegment bytes;
  private long position;

  /**
   * @param path the file, for messages
   * @param place what part of the file this is, for messages; empty for all of it
   * @param bytes the part's content
   */
  FileBytes(Path path, String place, MemorySegment bytes) {
    this.path = path;
    this.place = place;
    this.bytes = bytes;
  }

  long position() {
    return position;
  }

  long size() {
    return bytes.byteSize();
  }

  long remaining() {
    return size() - position;
  }

  /** The error of a problem found here. */
  InvalidFileException invalid(String problem) {
    return invalidAt(position, problem);
  }

  /** The error of a problem found at a byte of this part. */
  InvalidFileException invalidAt(long offset, String problem) {
    String where = place.isEmpty() ? "byte " + offset : place + " byte " + offset;
    return new InvalidFileException(path, where + ": " + problem);
  }

  int unsignedByte() throws InvalidFileException {
    return Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, advance(1)));
  }

  int unsignedShort() throws InvalidFileException {
    return unsignedByte() | (unsignedByte() << 8);
  }

  int signedInt() throws InvalidFileException {
    return unsignedShort() | (unsignedShort() << 16);
  }

  long unsignedInt() throws InvalidFileException {
    return Integer.toUnsignedLong(signedInt());
  }

  long signedLong() throws InvalidFileException {
    return bytes.get(LONG, advance(8));
  }

  double bigEndianDouble() throws InvalidFileException {
    return bytes.get(BIG_ENDIAN_DOUBLE, advance(8));
  }

  /** The next {@code count} bytes, still in place. */
  MemorySegment slice(long count) throws InvalidFileException {
    return bytes.asSlice(advance(count), count);
  }

  byte[] array(long count) throws InvalidFileException {
    return slice(count).toArray(ValueLayout.JAVA_BYTE);
  }

  String utf8(long count) throws InvalidFileException {
    long start = position;
    byte[] text = array(count);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text)).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidFileException(path, place + " byte " + start + ": text is not UTF-8", e);
    }
  }

  String latin1(long count) throws InvalidFileException {
    return new String(array(count), StandardCharsets.ISO_8859_1);
  }

  /** A little-endian two's complement number. */
  BigInteger number(int count) throws InvalidFileException {
    byte[] digits = array(count);
    byte[] reversed = new byte[count];
    for (int i = 0; i < count; i++) {
      reversed[i] = digits[count - 1 - i];
    }
    return count == 0 ? BigInteger.ZERO : new BigInteger(reversed);
  }

  /** The bytes up to a line feed, which is taken too. */
  String line() throws InvalidFileException {
    long end = position;
    while (end < size() && bytes.get(ValueLayout.JAVA_BYTE, end) != '\n') {
      end++;
    }
    if (end == size()) {
      throw invalid("a line of text has no end");
    }
    String line = utf8(end - position);
    position++;
    return line;
  }

  private long advance(long count) throws InvalidFileException {
    if (count < 0 || count > remaining()) {
      throw invalid(
          "asks for %s bytes, but only %d are left: the file is cut off or damaged"
              .formatted(Long.toUnsignedString(count), remaining()));
    }
    long start = position;
    position += count;
    return start;
  }
}
