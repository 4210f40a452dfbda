package org.unetrpp.backend.cpu.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MachineCodeTest {
  private static final byte[] RETURN = {(byte) 0xC3};

  @BeforeEach
  void codeMayBeMade() {
    assumeTrue(MachineCode.isAllowed(), "no x86-64 Linux that allows code made at run time");
  }

  /** Permissions of the pages at an address, as in {@code r-xp}; none if nothing is mapped. */
  private static List<String> permissions(long address) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .filter(line -> contains(line, address))
        .map(line -> line.substring(line.indexOf(' ') + 1, line.indexOf(' ') + 5))
        .toList();
  }

  private static boolean contains(String line, long address) {
    int dash = line.indexOf('-');
    long begin = Long.parseUnsignedLong(line, 0, dash, 16);
    long end = Long.parseUnsignedLong(line, dash + 1, line.indexOf(' '), 16);
    return Long.compareUnsigned(begin, address) <= 0 && Long.compareUnsigned(address, end) < 0;
  }

  @Test
  void pagesWithCodeCannotBeWritten() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      assertThat(permissions(MachineCode.executable(RETURN, arena).address()))
          .containsExactly("r-xp");
    }
  }

  @Test
  void theEndOfTheArenaUnmapsTheCode() throws IOException {
    long address;
    try (Arena arena = Arena.ofConfined()) {
      address = MachineCode.executable(RETURN, arena).address();
    }
    assertThat(permissions(address)).doesNotContain("r-xp");
  }

  @Test
  void functionsReturnToTheirCaller() throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      MachineCode.function(RETURN, 0, arena).invokeExact();
    }
  }
}
