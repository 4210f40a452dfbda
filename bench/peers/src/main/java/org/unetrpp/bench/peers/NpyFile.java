package org.unetrpp.bench.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A file of NumPy's {@code .npy} format, version 1, that holds little-endian float32 in row-major
 * order.
 *
 * @param path the file
 * @param shape extents, slowest axis first
 * @param offset of the first element, in bytes
 */
record NpyFile(Path path, List<Long> shape, long offset) {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  private static final int PREFIX = 10;
  private static final Pattern HEADER =
      Pattern.compile(
          "\\{'descr': '<f4', 'fortran_order': False, 'shape': \\(([0-9, ]+)\\), \\}\\s*");
  private static final int CHUNK = 1 << 20;

  /**
   * Reads the header.
   *
   * @throws IllegalArgumentException if the file is another format, or its size does not fit
   */
  static NpyFile open(Path path) {
    try (FileChannel channel = FileChannel.open(path)) {
      ByteBuffer prefix = readAt(channel, path, 0, PREFIX).order(ByteOrder.LITTLE_ENDIAN);
      byte[] magic = new byte[MAGIC.length];
      prefix.get(magic);
      if (!Arrays.equals(magic, MAGIC)) {
        throw new IllegalArgumentException(path + ": not a .npy file of version 1.0");
      }
      int length = Short.toUnsignedInt(prefix.getShort());
      String header =
          StandardCharsets.ISO_8859_1.decode(readAt(channel, path, PREFIX, length)).toString();
      Matcher matcher = HEADER.matcher(header);
      if (!matcher.matches()) {
        throw new IllegalArgumentException(
            "%s: header is %s, expected row-major '<f4'".formatted(path, header.strip()));
      }
      List<Long> shape =
          Arrays.stream(matcher.group(1).split(",", -1))
              .map(String::strip)
              .filter(extent -> !extent.isEmpty())
              .map(Long::valueOf)
              .toList();
      NpyFile file = new NpyFile(path, shape, PREFIX + length);
      if (channel.size() != file.offset + file.bytes()) {
        throw new IllegalArgumentException(
            "%s: %d bytes, expected %d for shape %s"
                .formatted(path, channel.size(), file.offset + file.bytes(), shape));
      }
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(path + ": cannot be read", e);
    }
  }

  /** Bytes of all elements. */
  long bytes() {
    return Arrays.stream(extents()).reduce(Float.BYTES, Math::multiplyExact);
  }

  /** The shape as an array. */
  long[] extents() {
    return shape.stream().mapToLong(Long::longValue).toArray();
  }

  /** All elements, in native memory of {@code arena}. */
  MemorySegment read(Arena arena) {
    MemorySegment values = arena.allocate(bytes(), ValueLayout.JAVA_FLOAT.byteSize());
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      for (long at = 0; at < bytes(); at += CHUNK) {
        int count = (int) Math.min(CHUNK, bytes() - at);
        ByteBuffer chunk = readAt(channel, path, offset + at, count);
        MemorySegment.copy(MemorySegment.ofBuffer(chunk), 0, values, at, count);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(path + ": cannot be read", e);
    }
    return values;
  }

  /**
   * How far {@code values} are from this file's, which are read in pieces so that the comparison
   * adds nothing to a peak of memory.
   *
   * @throws IllegalArgumentException if the number of values differs, or one is not finite
   */
  Deviation deviation(MemorySegment values) {
    if (values.byteSize() != bytes()) {
      throw new IllegalArgumentException(
          "%d bytes, expected the %d of %s".formatted(values.byteSize(), bytes(), path));
    }
    double largest = 0;
    double absmax = 0;
    double squares = 0;
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      for (long at = 0; at < bytes(); at += CHUNK) {
        int count = (int) Math.min(CHUNK, bytes() - at);
        ByteBuffer chunk = readAt(channel, path, offset + at, count).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < count; i += Float.BYTES) {
          double expected = chunk.getFloat(i);
          float value = values.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + i);
          if (!Float.isFinite(value)) {
            throw new IllegalArgumentException(
                "value %d is %s, expected %s".formatted((at + i) / Float.BYTES, value, expected));
          }
          double difference = Math.abs(value - expected);
          largest = Math.max(largest, difference);
          absmax = Math.max(absmax, Math.abs(expected));
          squares += difference * difference;
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(path + ": cannot be read", e);
    }
    double rms = Math.sqrt(squares / (bytes() / (double) Float.BYTES));
    return new Deviation(largest / absmax, rms / absmax);
  }

  /**
   * A difference from expected values, relative to the largest absolute value expected.
   *
   * @param largest the largest difference
   * @param rms root of the mean square
   */
  record Deviation(double largest, double rms) {}

  private static ByteBuffer readAt(FileChannel channel, Path path, long position, int count)
      throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(count);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw new IllegalArgumentException(
            "%s: ends before byte %d".formatted(path, position + count));
      }
    }
    return buffer.flip();
  }
}
