package org.unetrpp.backend.cuda.natives;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class LoaderCacheTest {
  private static final int X86_64 = 0x0303;
  private static final int I386 = 0x0003;

  private record Entry(int flags, String name, String file) {}

  private static byte[] cache(List<Entry> entries) {
    int stringsAt = 48 + 24 * entries.size();
    ByteArrayOutputStream strings = new ByteArrayOutputStream();
    ByteBuffer list = ByteBuffer.allocate(stringsAt).order(ByteOrder.LITTLE_ENDIAN);
    list.put("glibc-ld.so.cache1.1".getBytes(US_ASCII)).putInt(entries.size());
    list.position(48);
    for (Entry entry : entries) {
      list.putInt(entry.flags()).putInt(stringsAt + strings.size());
      strings.writeBytes((entry.name() + "\0").getBytes(US_ASCII));
      list.putInt(stringsAt + strings.size()).putInt(0).putLong(0);
      strings.writeBytes((entry.file() + "\0").getBytes(US_ASCII));
    }
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.writeBytes(list.array());
    all.writeBytes(strings.toByteArray());
    return all.toByteArray();
  }

  static byte[] cache(String... files) {
    return cache(
        Arrays.stream(files)
            .map(file -> new Entry(X86_64, file.substring(file.lastIndexOf('/') + 1), file))
            .toList());
  }

  @Test
  void filesOfThisProcessorAreFoundByName() {
    byte[] cache =
        cache(
            List.of(
                new Entry(I386, "libcuda.so.1", "/lib32/libcuda.so.1"),
                new Entry(X86_64, "libcuda.so.1", "/opt/nvidia/libcuda.so.1"),
                new Entry(X86_64, "libcuda.so", "/opt/nvidia/libcuda.so"),
                new Entry(X86_64, "libcuda.so.1", "/other/libcuda.so.1")));
    assertThat(LoaderCache.files(cache, "libcuda.so.1"::equals))
        .containsExactly(Path.of("/opt/nvidia/libcuda.so.1"), Path.of("/other/libcuda.so.1"));
  }

  @Test
  void listBehindOneOfTheOldFormIsFound() {
    ByteArrayOutputStream both = new ByteArrayOutputStream();
    both.writeBytes("ld.so-1.7.0\0\0\0\0\0".getBytes(US_ASCII));
    both.writeBytes(cache("/opt/nvidia/libcuda.so.1"));
    assertThat(LoaderCache.files(both.toByteArray(), name -> true))
        .containsExactly(Path.of("/opt/nvidia/libcuda.so.1"));
  }

  @Test
  void damagedListsAreTakenAsFarAsTheyGo() {
    byte[] whole = cache("/a/libcublas.so.13", "/b/libcublas.so.12");
    for (int length = 0; length < whole.length; length++) {
      List<Path> files = LoaderCache.files(Arrays.copyOf(whole, length), name -> true);
      assertThat(files).as("%d bytes", length).hasSizeLessThan(2);
    }
    for (int at = 0; at < whole.length; at++) {
      byte[] damaged = whole.clone();
      damaged[at] = (byte) 0xFF;
      assertThat(LoaderCache.files(damaged, name -> true)).hasSizeLessThan(3);
    }
  }
}
