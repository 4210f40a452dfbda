package org.unetrpp.convert;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.CheckedOutputStream;
import org.unetrpp.files.AtomicFile;

/**
 * Writes a zip of stored entries whose contents begin at multiples of 64 bytes, as PyTorch does.
 */
final class ZipWriter {
  private static final int ALIGNMENT = 64;
  private static final int LOCAL_HEADER_BYTES = 30;
  private static final int DIRECTORY_ENTRY_BYTES = 46;
  private static final int END_BYTES = 22;
  private static final int VERSION = 20;
  private static final int EXTRA_HEADER_BYTES = 4;
  private static final int PADDING_FIELD = 0x4246;
  private static final int FIRST_OF_JANUARY_1980 = 0x21;
  private static final long MAX_BYTES = 0xffff_ffffL;
  private static final int MAX_ENTRIES = 0xffff;

  private final OutputStream out;
  private final ByteArrayOutputStream directory = new ByteArrayOutputStream();
  private long position;
  private int entries;

  ZipWriter(OutputStream out) {
    this.out = out;
  }

  /**
   * Adds an entry.
   *
   * @param size bytes of the content
   * @param content is asked twice: for the checksum, and to be written
   * @throws IOException if the archive would need 64-bit offsets, which are not written
   */
  void add(String name, long size, AtomicFile.Content content) throws IOException {
    byte[] nameBytes = name.getBytes(StandardCharsets.UTF_8);
    long start = position + LOCAL_HEADER_BYTES + nameBytes.length + EXTRA_HEADER_BYTES;
    int padding = (int) (Math.ceilDiv(start, ALIGNMENT) * ALIGNMENT - start);
    if (start + padding + size > MAX_BYTES - directory.size() || ++entries > MAX_ENTRIES) {
      throw new IOException(name + ": a checkpoint of 4 GiB or 65536 entries cannot be written");
    }
    long checksum = checksum(content);
    byte[] common = new byte[22];
    ByteBuffer fields = littleEndian(common);
    fields.putShort((short) 0).putShort((short) 0); // no flags, stored
    fields.putShort((short) 0).putShort((short) FIRST_OF_JANUARY_1980);
    fields.putInt((int) checksum).putInt((int) size).putInt((int) size);
    fields.putShort((short) nameBytes.length);
    addToDirectory(common, nameBytes);
    writeLocalHeader(common, nameBytes, padding);
    content.writeTo(out);
    position = start + padding + size;
  }

  private void addToDirectory(byte[] common, byte[] name) {
    byte[] entry = new byte[DIRECTORY_ENTRY_BYTES + name.length];
    ByteBuffer fields = littleEndian(entry).putInt(0x02014b50);
    fields.putShort((short) VERSION).putShort((short) VERSION).put(common);
    fields.put(new byte[12]).putInt((int) position).put(name);
    directory.writeBytes(entry);
  }

  private void writeLocalHeader(byte[] common, byte[] name, int padding) throws IOException {
    int extra = EXTRA_HEADER_BYTES + padding;
    byte[] header = new byte[LOCAL_HEADER_BYTES + name.length + extra];
    ByteBuffer fields = littleEndian(header).putInt(0x04034b50).putShort((short) VERSION);
    fields.put(common).putShort((short) extra).put(name);
    fields.putShort((short) PADDING_FIELD).putShort((short) padding);
    out.write(header);
  }

  /** Writes the directory, after which nothing may be added. */
  void finish() throws IOException {
    directory.writeTo(out);
    byte[] end = new byte[END_BYTES];
    ByteBuffer fields = littleEndian(end).putInt(0x06054b50).putInt(0);
    fields.putShort((short) entries).putShort((short) entries);
    fields.putInt(directory.size()).putInt((int) position).putShort((short) 0);
    out.write(end);
  }

  private static long checksum(AtomicFile.Content content) throws IOException {
    CRC32 checksum = new CRC32();
    try (CheckedOutputStream sink =
        new CheckedOutputStream(OutputStream.nullOutputStream(), checksum)) {
      content.writeTo(sink);
    }
    return checksum.getValue();
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
