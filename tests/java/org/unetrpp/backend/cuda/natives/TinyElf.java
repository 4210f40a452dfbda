package org.unetrpp.backend.cuda.natives;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Writes shared libraries that hold nothing but what they need of others. */
final class TinyElf {
  /** The loaded library lies elsewhere than in its file, as that of data often does. */
  private static final long BASE = 0x20_0000;

  private static final int HEADER_BYTES = 64;
  private static final int PROGRAM_HEADER_BYTES = 56;
  private static final int STRINGS = HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;

  private final ByteArrayOutputStream strings = new ByteArrayOutputStream();
  private final Map<String, Integer> places = new LinkedHashMap<>();
  private final List<String> needed = new ArrayList<>();
  private final Map<String, List<String>> versions = new LinkedHashMap<>();

  TinyElf() {
    strings.write(0);
  }

  /** Adds a library that is needed, with the names of versions that are needed of it. */
  TinyElf needing(String library, String... names) {
    place(library);
    needed.add(library);
    if (names.length > 0) {
      versions.put(library, List.of(names));
      List.of(names).forEach(this::place);
    }
    return this;
  }

  /** Adds a string that is no library's. */
  TinyElf saying(String text) {
    place(text);
    return this;
  }

  /** Lets a library's name be the end of another string. */
  TinyElf needingEndOf(String text, String library) {
    place(text);
    places.put(library, placeOf(text) + text.length() - library.length());
    needed.add(library);
    return this;
  }

  private void place(String text) {
    if (!places.containsKey(text)) {
      places.put(text, strings.size());
      strings.writeBytes((text + "\0").getBytes(US_ASCII));
    }
  }

  private int placeOf(String text) {
    return Objects.requireNonNull(places.get(text), text);
  }

  byte[] bytes() {
    int versionsAt = (STRINGS + strings.size() + 7) / 8 * 8;
    int versionBytes = versions.values().stream().mapToInt(names -> 16 + 16 * names.size()).sum();
    int dynamicAt = versionsAt + versionBytes;
    int entries = needed.size() + 5;
    int end = dynamicAt + 16 * entries;

    ByteBuffer file = ByteBuffer.allocate(end).order(ByteOrder.LITTLE_ENDIAN);
    file.putInt(0x464C457F).put((byte) 2).put((byte) 1).put((byte) 1);
    file.putShort(16, (short) 3).putShort(18, (short) 62).putInt(20, 1);
    file.putLong(32, HEADER_BYTES);
    file.putShort(52, (short) HEADER_BYTES);
    file.putShort(54, (short) PROGRAM_HEADER_BYTES).putShort(56, (short) 2);
    programHeader(file, HEADER_BYTES, 1, 0, end);
    programHeader(file, HEADER_BYTES + PROGRAM_HEADER_BYTES, 2, dynamicAt, 16L * entries);
    file.put(STRINGS, strings.toByteArray());
    putVersions(file, versionsAt);

    file.position(dynamicAt);
    needed.forEach(name -> file.putLong(1).putLong(placeOf(name)));
    file.putLong(5).putLong(BASE + STRINGS);
    file.putLong(10).putLong(strings.size());
    file.putLong(0x6FFFFFFE).putLong(BASE + versionsAt);
    file.putLong(0x6FFFFFFF).putLong(versions.size());
    return file.array();
  }

  private static void programHeader(ByteBuffer file, int at, int type, long offset, long bytes) {
    file.putInt(at, type);
    file.putLong(at + 8, offset);
    file.putLong(at + 16, BASE + offset);
    file.putLong(at + 32, bytes);
    file.putLong(at + 40, bytes);
  }

  private void putVersions(ByteBuffer file, int at) {
    file.position(at);
    int left = versions.size();
    for (Map.Entry<String, List<String>> library : versions.entrySet()) {
      int count = library.getValue().size();
      left--;
      file.putShort((short) 1).putShort((short) count).putInt(placeOf(library.getKey()));
      file.putInt(16).putInt(left == 0 ? 0 : 16 + 16 * count);
      for (int i = 0; i < count; i++) {
        String name = library.getValue().get(i);
        file.putInt(ElfLibrary.hash(name)).putShort((short) 0).putShort((short) (2 + i));
        file.putInt(placeOf(name)).putInt(i + 1 == count ? 0 : 16);
      }
    }
  }
}
