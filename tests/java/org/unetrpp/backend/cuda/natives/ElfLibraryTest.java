package org.unetrpp.backend.cuda.natives;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ElfLibraryTest {
  private static TinyElf jcuda(String cublas) {
    return new TinyElf()
        .needing("libstdc++.so.6", "GLIBCXX_3.4", "CXXABI_1.3")
        .needing(cublas, cublas)
        .saying("libcublasLt.so.12")
        .needing("libc.so.6", "GLIBC_2.2.5");
  }

  @Test
  void libraryRetargetedIsTheOneThatWasLinkedWithTheOther() {
    byte[] retargeted =
        new ElfLibrary(jcuda("libcublas.so.12").bytes())
            .retargeted("libcublas.so.12", "libcublas.so.13");
    assertThat(retargeted).isEqualTo(jcuda("libcublas.so.13").bytes());
    assertThat(new ElfLibrary(retargeted).needed())
        .containsExactly("libstdc++.so.6", "libcublas.so.13", "libc.so.6");
  }

  @Test
  void originalStaysAsItWas() {
    byte[] original = jcuda("libcublas.so.12").bytes();
    byte[] copy = original.clone();
    byte[] retargeted = new ElfLibrary(original).retargeted("libcublas.so.12", "libcublas.so.13");
    assertThat(original).isEqualTo(copy).isNotEqualTo(retargeted);
  }

  @Test
  void libraryWithoutVersionsIsRetargetedToo() {
    TinyElf elf = new TinyElf().needing("libcuda.so.1");
    assertThat(new ElfLibrary(elf.bytes()).retargeted("libcuda.so.1", "libcuda.so.2"))
        .isEqualTo(new TinyElf().needing("libcuda.so.2").bytes());
  }

  /** Known from {@code readelf -V} and the format's description. */
  @Test
  void hashIsThatOfTheFormat() {
    assertThat(ElfLibrary.hash("GLIBC_2.2.5")).isEqualTo(0x09691a75);
    assertThat(ElfLibrary.hash("GLIBC_2.4")).isEqualTo(0x0d696914);
    assertThat(ElfLibrary.hash("GLIBCXX_3.4")).isEqualTo(0x08922974);
  }

  @Test
  void namesOfDifferentLengthAreRefused() {
    ElfLibrary elf = new ElfLibrary(jcuda("libcublas.so.12").bytes());
    assertThatThrownBy(() -> elf.retargeted("libcublas.so.12", "libcublas.so.9"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'libcublas.so.9' is not as long as 'libcublas.so.12'");
  }

  @Test
  void libraryThatNeedsAnotherIsRefused() {
    ElfLibrary elf = new ElfLibrary(jcuda("libcublas.so.12").bytes());
    assertThatThrownBy(() -> elf.retargeted("libcublas.so.11", "libcublas.so.13"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("does not need 'libcublas.so.11'")
        .hasMessageContaining("libcublas.so.12");
  }

  @Test
  void nameThatIsPartOfAnotherIsRefused() {
    byte[] elf = new TinyElf().needingEndOf("xlibcudnn.so.8", "libcudnn.so.8").bytes();
    assertThatThrownBy(() -> new ElfLibrary(elf).retargeted("libcudnn.so.8", "libcudnn.so.9"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'xlibcudnn.so.8'");
  }

  @Test
  void otherFilesAreRefused() {
    byte[] for32Bits = jcuda("libcublas.so.12").bytes();
    for32Bits[4] = 1;
    byte[] text = "#!/bin/sh\necho libcublas.so.12\n".getBytes(US_ASCII);
    for (byte[] bytes : new byte[][] {for32Bits, text}) {
      assertThatThrownBy(() -> new ElfLibrary(bytes))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("no ELF file for 64 bits");
    }
  }

  @Test
  void everyFileThatEndsEarlyIsRefused() {
    byte[] whole = jcuda("libcublas.so.12").bytes();
    int lastEntry = 16; // what ends the list may be missing
    for (int length = 0; length < whole.length - lastEntry; length++) {
      byte[] part = Arrays.copyOf(whole, length);
      assertThatThrownBy(
              () -> new ElfLibrary(part).retargeted("libcublas.so.12", "libcublas.so.13"))
          .as("%d of %d bytes", length, whole.length)
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void damagedFilesAreRefusedOrRetargetedButNeverMore() {
    byte[] whole = jcuda("libcublas.so.12").bytes();
    Random random = new Random(7);
    int refused = 0;
    for (int i = 0; i < 20_000; i++) {
      byte[] damaged = whole.clone();
      damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
      try {
        byte[] changed = new ElfLibrary(damaged).retargeted("libcublas.so.12", "libcublas.so.13");
        assertThat(changed).hasSameSizeAs(whole);
      } catch (IllegalArgumentException e) {
        refused++;
      }
    }
    assertThat(refused).isBetween(1000, 19_000);
  }
}
