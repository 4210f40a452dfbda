package org.unetrpp.backend.cuda.natives;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** The list of libraries that the system's loader keeps, {@code /etc/ld.so.cache}. */
final class LoaderCache {
  private static final String MAGIC = "glibc-ld.so.cache1.1";
  private static final int HEADER_BYTES = 48;
  private static final int ENTRY_BYTES = 24;
  private static final int X86_64_WITH_GLIBC = 0x0303;

  private LoaderCache() {}

  /**
   * The files of libraries whose name is wanted, in the order of the list; what the list does not
   * hold, or not in a form that is known, is left out.
   */
  static List<Path> files(byte[] cache, Predicate<String> wanted) {
    List<Path> files = new ArrayList<>();
    int start = new String(cache, ISO_8859_1).indexOf(MAGIC); // an older form may stand before it
    if (start < 0 || start + HEADER_BYTES > cache.length) {
      return files;
    }
    ByteBuffer list = ByteBuffer.wrap(cache, start, cache.length - start).slice();
    list.order(ByteOrder.LITTLE_ENDIAN);
    long count = Integer.toUnsignedLong(list.getInt(MAGIC.length()));
    for (int i = 0; i < count; i++) {
      long entry = HEADER_BYTES + (long) i * ENTRY_BYTES;
      if (entry + ENTRY_BYTES > list.limit()) {
        break;
      }
      int at = (int) entry;
      if (list.getInt(at) == X86_64_WITH_GLIBC && wanted.test(string(list, list.getInt(at + 4)))) {
        String file = string(list, list.getInt(at + 8));
        if (file.startsWith("/")) {
          files.add(Path.of(file));
        }
      }
    }
    return files;
  }

  /** Empty where there is none. */
  private static String string(ByteBuffer list, int offset) {
    int end = offset;
    while (end >= 0 && end < list.limit() && list.get(end) != 0) {
      end++;
    }
    return end < 0 || end >= list.limit()
        ? ""
        : new String(list.array(), list.arrayOffset() + offset, end - offset, ISO_8859_1);
  }
}
