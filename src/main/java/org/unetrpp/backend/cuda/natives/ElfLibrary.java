package org.unetrpp.backend.cuda.natives;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * A shared library in memory, in the form ELF for 64 bits, little-endian. What it needs of another
 * library stands in three places: the name, the name as a file that versions come from, and the
 * hash of the version's name.
 */
final class ElfLibrary {
  private static final int MAGIC = 0x464C457F;
  private static final int CLASS_AND_ORDER = 4;
  private static final short BITS_64_LITTLE_ENDIAN = 0x0102;
  private static final int MACHINE = 18;
  private static final short X86_64 = 62;
  private static final int PROGRAM_HEADERS = 32;
  private static final int PROGRAM_HEADER_BYTES = 54;
  private static final int PROGRAM_HEADER_COUNT = 56;
  private static final int LOADED_SEGMENT = 1;
  private static final int DYNAMIC_SEGMENT = 2;
  private static final int DYNAMIC_ENTRY_BYTES = 16;
  private static final int TAG_END = 0;
  private static final int TAG_NEEDED = 1;
  private static final int TAG_STRINGS = 5;
  private static final int TAG_STRINGS_BYTES = 10;
  private static final int TAG_VERSIONS_NEEDED = 0x6FFFFFFE;
  private static final int TAG_VERSIONS_NEEDED_COUNT = 0x6FFFFFFF;

  private final ByteBuffer file;
  private final List<Segment> segments = new ArrayList<>();
  private final List<Integer> needed = new ArrayList<>();
  private int strings;
  private int stringsBytes;
  private long versions = -1;
  private long versionCount;

  private record Segment(long offset, long address, long bytes) {}

  /**
   * Takes a library apart.
   *
   * @throws IllegalArgumentException if the bytes are no such library, or end too early
   */
  ElfLibrary(byte[] image) {
    file = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
    try {
      if (file.getInt(0) != MAGIC || file.getShort(CLASS_AND_ORDER) != BITS_64_LITTLE_ENDIAN) {
        throw new IllegalArgumentException("no ELF file for 64 bits, little-endian");
      }
      readSegments();
    } catch (IndexOutOfBoundsException | ArithmeticException e) {
      throw malformed(e);
    }
  }

  /** Whether a file begins as a library for x86-64 does. */
  static boolean isForThisProcessor(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] start = in.readNBytes(MACHINE + Short.BYTES);
      ByteBuffer header = ByteBuffer.wrap(start).order(ByteOrder.LITTLE_ENDIAN);
      return start.length == MACHINE + Short.BYTES
          && header.getInt(0) == MAGIC
          && header.getShort(CLASS_AND_ORDER) == BITS_64_LITTLE_ENDIAN
          && header.getShort(MACHINE) == X86_64;
    }
  }

  private static IllegalArgumentException malformed(RuntimeException cause) {
    return new IllegalArgumentException("an ELF file that points beyond its end", cause);
  }

  private void readSegments() {
    int headers = Math.toIntExact(file.getLong(PROGRAM_HEADERS));
    int bytes = Short.toUnsignedInt(file.getShort(PROGRAM_HEADER_BYTES));
    int count = Short.toUnsignedInt(file.getShort(PROGRAM_HEADER_COUNT));
    long dynamic = -1;
    long dynamicBytes = 0;
    for (int i = 0; i < count; i++) {
      int header = Math.addExact(headers, i * bytes);
      int type = file.getInt(header);
      long offset = file.getLong(header + 8);
      long inFile = file.getLong(header + 32);
      if (type == LOADED_SEGMENT) {
        segments.add(new Segment(offset, file.getLong(header + 16), inFile));
      } else if (type == DYNAMIC_SEGMENT) {
        dynamic = offset;
        dynamicBytes = inFile;
      }
    }
    if (dynamic < 0) {
      throw new IllegalArgumentException("an ELF file that is no shared library");
    }
    readDynamic(Math.toIntExact(dynamic), dynamicBytes / DYNAMIC_ENTRY_BYTES);
  }

  private void readDynamic(int start, long entries) {
    long stringsAddress = -1;
    for (int i = 0; i < entries; i++) {
      int entry = Math.addExact(start, i * DYNAMIC_ENTRY_BYTES);
      long tag = file.getLong(entry);
      long value = file.getLong(entry + Long.BYTES);
      if (tag == TAG_END) {
        break;
      } else if (tag == TAG_NEEDED) {
        needed.add(Math.toIntExact(value));
      } else if (tag == TAG_STRINGS) {
        stringsAddress = value;
      } else if (tag == TAG_STRINGS_BYTES) {
        stringsBytes = Math.toIntExact(value);
      } else if (tag == TAG_VERSIONS_NEEDED) {
        versions = value;
      } else if (tag == TAG_VERSIONS_NEEDED_COUNT) {
        versionCount = value;
      }
    }
    strings = placeOf(stringsAddress);
    if (stringsBytes < 0 || stringsBytes > file.limit() - strings) {
      throw new IndexOutOfBoundsException("strings");
    }
  }

  /** Where in the file an address of the loaded library comes from. */
  private int placeOf(long address) {
    for (Segment segment : segments) {
      long within = address - segment.address();
      if (within >= 0 && within < segment.bytes()) {
        return Math.toIntExact(Math.addExact(segment.offset(), within));
      }
    }
    throw new IndexOutOfBoundsException("address " + Long.toHexString(address));
  }

  private String string(int offset) {
    int end = offset;
    while (byteOfStrings(end) != 0) {
      end++;
    }
    return new String(file.array(), strings + offset, end - offset, ISO_8859_1);
  }

  private byte byteOfStrings(int offset) {
    if (offset < 0 || offset >= stringsBytes) {
      throw new IndexOutOfBoundsException("string " + offset);
    }
    return file.get(strings + offset);
  }

  /** Names of the libraries that this one needs. */
  List<String> needed() {
    try {
      return needed.stream().map(this::string).toList();
    } catch (IndexOutOfBoundsException e) {
      throw malformed(e);
    }
  }

  /**
   * Lets the library need another one in place of one, with the same version's name.
   *
   * @param from as in {@code libcublas.so.12}, also the name of the version that is needed of it
   * @param to as long as {@code from}, as in {@code libcublas.so.13}
   * @return the changed bytes
   * @throws IllegalArgumentException if the library does not need {@code from}, or the names differ
   *     in length
   */
  byte[] retargeted(String from, String to) {
    if (from.length() != to.length()) {
      throw new IllegalArgumentException(
          "name '%s' is not as long as '%s', in whose place it is to stand".formatted(to, from));
    }
    try {
      byte[] changed = file.array().clone();
      ByteBuffer target = ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN);
      Set<Integer> names = new TreeSet<>();
      needed.stream().filter(name -> string(name).equals(from)).forEach(names::add);
      if (names.isEmpty()) {
        throw new IllegalArgumentException(
            "a library that does not need '%s' but %s".formatted(from, needed()));
      }
      changeVersions(target, from, to, names);
      for (int name : names) {
        if (name > 0 && byteOfStrings(name - 1) != 0) {
          throw new IllegalArgumentException(
              "'%s' is the end of another name, '%s'".formatted(from, string(name - 1)));
        }
        target.put(strings + name, to.getBytes(ISO_8859_1));
      }
      return changed;
    } catch (IndexOutOfBoundsException | ArithmeticException e) {
      throw malformed(e);
    }
  }

  /** Changes the hashes of the version's name, and adds the places of the names to change. */
  private void changeVersions(ByteBuffer target, String from, String to, Set<Integer> names) {
    if (versionCount == 0) {
      return;
    }
    int entry = placeOf(versions);
    int toNextEntry;
    do {
      int name = file.getInt(entry + 4);
      boolean concerned = string(name).equals(from);
      if (concerned) {
        names.add(name);
      }
      int version = Math.addExact(entry, forward(entry + 8));
      int toNextVersion;
      do {
        int versionName = file.getInt(version + 8);
        if (concerned && string(versionName).equals(from)) {
          names.add(versionName);
          target.putInt(version, hash(to));
        }
        toNextVersion = forward(version + 12);
        version = Math.addExact(version, toNextVersion);
      } while (toNextVersion > 0);
      toNextEntry = forward(entry + 12);
      entry = Math.addExact(entry, toNextEntry);
    } while (toNextEntry > 0);
  }

  /** A distance to what follows, 0 for none. */
  private int forward(int at) {
    int distance = file.getInt(at);
    if (distance < 0) {
      throw new IndexOutOfBoundsException("distance " + distance);
    }
    return distance;
  }

  /** The hash that the loader compares before it compares the names of versions. */
  static int hash(String name) {
    int hash = 0;
    for (byte letter : name.getBytes(ISO_8859_1)) {
      hash = (hash << 4) + Byte.toUnsignedInt(letter);
      int high = hash & 0xF0000000;
      hash = (hash ^ (high >>> 24)) & ~high;
    }
    return hash;
  }
}
