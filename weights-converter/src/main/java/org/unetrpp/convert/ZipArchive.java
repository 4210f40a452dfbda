package org.unetrpp.convert;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;

/**
 * The entries of a mapped zip file. Stored entries are slices of the mapping; compressed ones are
 * inflated within bounds that the archive's size sets. Every entry's checksum is verified. See <a
 * href="https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT">APPNOTE</a>.
 */
final class ZipArchive {
  private static final int STORED = 0;
  private static final int DEFLATED = 8;
  private static final int ENCRYPTED_FLAG = 1;
  private static final int END_BYTES = 22;
  private static final int LOCATOR_BYTES = 20;
  private static final int DIRECTORY_ENTRY_BYTES = 46;
  private static final int LOCAL_HEADER_BYTES = 30;
  private static final int MAX_COMMENT_BYTES = 0xffff;
  private static final long UNKNOWN = 0xffffffffL;

  /** Deflate cannot do better than 1 : 1032. */
  private static final long MAX_RATIO = 1032;

  /** Inflated bytes in all per byte of the archive. */
  private static final long MAX_GROWTH = 64;

  private final Path path;
  private final String place;
  private final MemorySegment file;
  private final Arena arena;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private long inflatedBytes;

  private ZipArchive(Path path, String place, MemorySegment file, Arena arena) {
    this.path = path;
    this.place = place;
    this.file = file;
    this.arena = arena;
  }

  private record Entry(
      String name, int method, long checksum, long stored, long size, long header, long content) {
    long end() {
      return content + stored;
    }
  }

  private record Directory(long offset, long size, long entries) {}

  /**
   * Reads and checks the directory.
   *
   * @param path the file, for messages
   * @param place where in the file the archive is, for messages; empty if it is all of it
   * @param file the archive
   * @param arena owns what is inflated
   * @throws InvalidFileException if the archive is damaged, cut off, or made to mislead
   */
  static ZipArchive open(Path path, String place, MemorySegment file, Arena arena)
      throws InvalidFileException {
    ZipArchive archive = new ZipArchive(path, place, file, arena);
    Directory directory = archive.directory();
    archive.readEntries(directory);
    archive.requireNoOverlap(directory.offset);
    return archive;
  }

  /** Whether bytes begin as a zip file does. */
  static boolean isZip(byte[] start) {
    return start.length >= 4
        && start[0] == 'P'
        && start[1] == 'K'
        && start[2] == 3
        && start[3] == 4;
  }

  /** The names of the entries, in the directory's order. */
  SequencedSet<String> names() {
    return Collections.unmodifiableSequencedSet(new LinkedHashSet<>(entries.keySet()));
  }

  boolean contains(String name) {
    return entries.containsKey(name);
  }

  /**
   * The content of an entry.
   *
   * @throws InvalidFileException if there is no such entry, or its content is damaged
   */
  MemorySegment content(String name) throws InvalidFileException {
    Entry entry = entries.get(name);
    if (entry == null) {
      throw invalid("has no entry " + name);
    }
    MemorySegment stored = file.asSlice(entry.content, entry.stored);
    MemorySegment content = entry.method == STORED ? stored : inflate(entry, stored);
    long checksum = checksum(content);
    if (checksum != entry.checksum) {
      throw invalid(
          "entry %s is damaged: CRC-32 is %08x, expected %08x"
              .formatted(name, checksum, entry.checksum));
    }
    return content;
  }

  private static long checksum(MemorySegment content) {
    CRC32 checksum = new CRC32();
    long piece = 1L << 30;
    for (long start = 0; start < content.byteSize(); start += piece) {
      long length = Math.min(piece, content.byteSize() - start);
      checksum.update(content.asSlice(start, length).asByteBuffer());
    }
    return checksum.getValue();
  }

  private MemorySegment inflate(Entry entry, MemorySegment stored) throws InvalidFileException {
    inflatedBytes += entry.size;
    if (inflatedBytes > MAX_GROWTH * file.byteSize() || entry.size > Integer.MAX_VALUE - 8) {
      throw invalid(
          "entry %s inflates to %d bytes, too many for an archive of %d bytes"
              .formatted(entry.name, entry.size, file.byteSize()));
    }
    MemorySegment content = arena.allocate(entry.size, 8);
    try (Inflater inflater = new Inflater(true)) {
      inflater.setInput(stored.asByteBuffer());
      ByteBuffer target = content.asByteBuffer();
      while (target.hasRemaining() && !inflater.finished()) {
        if (inflater.inflate(target) == 0
            && (inflater.needsInput() || inflater.needsDictionary())) {
          break;
        }
      }
      boolean ended = inflater.finished() || inflater.inflate(new byte[1]) == 0;
      if (target.hasRemaining() || !ended) {
        throw invalid(
            "entry %s does not inflate to the %d bytes it claims"
                .formatted(entry.name, entry.size));
      }
    } catch (DataFormatException e) {
      throw new InvalidFileException(path, located("entry " + entry.name + " is damaged"), e);
    }
    return content;
  }

  private Directory directory() throws InvalidFileException {
    long end = endRecord();
    FileBytes bytes = at(end + 10);
    long count = bytes.unsignedShort();
    long size = bytes.unsignedInt();
    long offset = bytes.unsignedInt();
    Directory directory = directory64(end);
    if (directory == null) {
      directory = new Directory(offset, size, count);
    }
    if (directory.offset < 0
        || directory.size < 0
        || directory.size > end
        || directory.offset > end - directory.size
        || directory.entries < 0
        || directory.entries > directory.size / DIRECTORY_ENTRY_BYTES) {
      throw invalid(
          "its directory of %d entries at byte %d does not fit into %d bytes"
              .formatted(directory.entries, directory.offset, file.byteSize()));
    }
    return directory;
  }

  private long endRecord() throws InvalidFileException {
    long last = file.byteSize() - END_BYTES;
    for (long end = last; end >= 0 && end >= last - MAX_COMMENT_BYTES; end--) {
      FileBytes bytes = at(end);
      if (bytes.unsignedInt() == 0x06054b50L && at(end + 20).unsignedShort() == last - end) {
        return end;
      }
    }
    throw invalid("its directory is missing: the file is cut off");
  }

  /** The directory of an archive with 64-bit offsets, or null if this is none. */
  private @Nullable Directory directory64(long end) throws InvalidFileException {
    if (end < LOCATOR_BYTES || at(end - LOCATOR_BYTES).unsignedInt() != 0x07064b50L) {
      return null;
    }
    long record = at(end - LOCATOR_BYTES + 8).signedLong();
    if (record < 0 || record > end - LOCATOR_BYTES || at(record).unsignedInt() != 0x06064b50L) {
      throw invalid("its 64-bit directory is not at byte " + record);
    }
    FileBytes bytes = at(record + 32);
    long count = bytes.signedLong();
    long size = bytes.signedLong();
    return new Directory(bytes.signedLong(), size, count);
  }

  private void readEntries(Directory directory) throws InvalidFileException {
    FileBytes bytes =
        new FileBytes(
            path, located("zip directory"), file.asSlice(directory.offset, directory.size));
    for (long i = 0; i < directory.entries; i++) {
      Entry entry = readEntry(bytes);
      requirePlainName(entry.name);
      requireSize(entry);
      if (entries.put(entry.name, entry) != null) {
        throw invalid("has two entries " + entry.name);
      }
    }
    if (bytes.remaining() != 0) {
      throw bytes.invalid("%d bytes follow the last entry".formatted(bytes.remaining()));
    }
  }

  private Entry readEntry(FileBytes bytes) throws InvalidFileException {
    long signature = bytes.unsignedInt();
    if (signature != 0x02014b50L) {
      throw bytes.invalid("not an entry of the directory");
    }
    bytes.slice(4); // versions
    int flags = bytes.unsignedShort();
    int method = bytes.unsignedShort();
    bytes.slice(4); // time
    long checksum = bytes.unsignedInt();
    long stored = bytes.unsignedInt();
    long size = bytes.unsignedInt();
    int nameLength = bytes.unsignedShort();
    int extraLength = bytes.unsignedShort();
    int commentLength = bytes.unsignedShort();
    bytes.slice(8); // disk and attributes
    long header = bytes.unsignedInt();
    String name = new String(bytes.array(nameLength), StandardCharsets.UTF_8);
    Sizes sizes = new Sizes(stored, size, header).completed(bytes, extraLength);
    bytes.slice(commentLength);
    if ((flags & ENCRYPTED_FLAG) != 0 || (method != STORED && method != DEFLATED)) {
      throw bytes.invalid(
          "entry %s is encrypted or compressed by method %d".formatted(name, method));
    }
    long content = contentOffset(name, method, sizes.header);
    return new Entry(name, method, checksum, sizes.stored, sizes.size, sizes.header, content);
  }

  /** Sizes and place of an entry, which may be in its 64-bit extra field. */
  private record Sizes(long stored, long size, long header) {
    Sizes completed(FileBytes bytes, int extraLength) throws InvalidFileException {
      long end = bytes.position() + extraLength;
      Sizes sizes = this;
      while (end - bytes.position() >= 4) {
        int id = bytes.unsignedShort();
        long fieldEnd = bytes.position() + 2;
        fieldEnd += bytes.unsignedShort();
        if (fieldEnd > end) {
          throw bytes.invalid("an extra field is longer than all of them");
        }
        if (id == 1) {
          long newSize = size == UNKNOWN ? bytes.signedLong() : size;
          long newStored = stored == UNKNOWN ? bytes.signedLong() : stored;
          long newHeader = header == UNKNOWN ? bytes.signedLong() : header;
          sizes = new Sizes(newStored, newSize, newHeader);
        }
        bytes.slice(fieldEnd - bytes.position());
      }
      bytes.slice(end - bytes.position());
      return sizes;
    }
  }

  private long contentOffset(String name, int method, long header) throws InvalidFileException {
    if (header < 0 || header > file.byteSize() - LOCAL_HEADER_BYTES) {
      throw invalid("entry %s begins at byte %d, past the end".formatted(name, header));
    }
    FileBytes bytes = at(header);
    long signature = bytes.unsignedInt();
    bytes.slice(4);
    int localMethod = bytes.unsignedShort();
    bytes.slice(16);
    int nameLength = bytes.unsignedShort();
    int extraLength = bytes.unsignedShort();
    String localName = new String(bytes.array(nameLength), StandardCharsets.UTF_8);
    if (signature != 0x04034b50L || localMethod != method || !localName.equals(name)) {
      throw invalid("entry %s is not at byte %d as the directory says".formatted(name, header));
    }
    return header + LOCAL_HEADER_BYTES + nameLength + extraLength;
  }

  private void requirePlainName(String name) throws InvalidFileException {
    boolean misleading =
        name.isEmpty()
            || name.startsWith("/")
            || name.indexOf('\\') >= 0
            || name.indexOf('\0') >= 0
            || name.indexOf(':') >= 0
            || List.of(name.split("/", -1)).contains("..");
    if (misleading) {
      throw invalid("refused: an entry is named '%s'".formatted(name));
    }
  }

  private void requireSize(Entry entry) throws InvalidFileException {
    boolean impossible =
        entry.stored < 0
            || entry.size < 0
            || entry.stored > file.byteSize() - entry.content
            || (entry.method == STORED
                ? entry.stored != entry.size
                : entry.size / MAX_RATIO > entry.stored);
    if (impossible) {
      throw invalid(
          "entry %s of %d bytes, stored as %d at byte %d, cannot be"
              .formatted(entry.name, entry.size, entry.stored, entry.content));
    }
  }

  private void requireNoOverlap(long directory) throws InvalidFileException {
    Collection<Entry> placed =
        entries.values().stream().sorted(Comparator.comparingLong(Entry::header)).toList();
    long end = 0;
    for (Entry entry : placed) {
      if (entry.header < end) {
        throw invalid("entry %s overlaps the one before it".formatted(entry.name));
      }
      end = entry.end();
    }
    if (end > directory) {
      throw invalid("its entries overlap its directory");
    }
  }

  private FileBytes at(long offset) {
    return new FileBytes(path, located("zip"), file.asSlice(offset));
  }

  private String located(String text) {
    return place.isEmpty() ? text : place + " " + text;
  }

  private InvalidFileException invalid(String problem) {
    return new InvalidFileException(path, located("zip " + problem));
  }
}
