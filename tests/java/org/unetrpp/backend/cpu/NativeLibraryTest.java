package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

@DisabledOnOs(value = OS.WINDOWS, disabledReason = "looks at POSIX permissions")
class NativeLibraryTest {
  @TempDir Path cache;

  private List<Path> unpack() throws IOException {
    return Objects.requireNonNull(NativeLibrary.unpack(cache));
  }

  @Test
  void unpacksOnceAndForTheUserAlone() throws IOException {
    Path library = unpack().getLast();
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(library.getParent())))
        .isEqualTo("rwx------");
    FileTime old = FileTime.fromMillis(1_000_000_000);
    Files.setLastModifiedTime(library, old);
    assertThat(unpack().getLast()).isEqualTo(library);
    assertThat(Files.getLastModifiedTime(library)).isEqualTo(old);
  }

  @Test
  void unpacksATruncatedFileAgain() throws IOException {
    Path library = unpack().getFirst();
    long size = Files.size(library);
    Files.write(library, new byte[10]);
    assertThat(unpack().getFirst()).isEqualTo(library).hasSize(size);
  }

  @Test
  void replacesALinkInsteadOfFollowingIt() throws IOException {
    Path library = unpack().getFirst();
    Path elsewhere = cache.resolve("elsewhere");
    Files.move(library, elsewhere);
    Files.createSymbolicLink(library, elsewhere);
    assertThat(unpack().getFirst()).isEqualTo(library).isRegularFile();
    assertThat(Files.isSymbolicLink(library)).isFalse();
  }

  @Test
  void distrustsAFolderThatOthersMayWriteTo() throws IOException {
    Path folder = cache.resolve("unetrpp");
    Files.createDirectory(folder);
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertThat(NativeLibrary.unpack(cache)).isNull();
  }

  @Test
  void goesWithoutAFolderThatCannotBeMade() throws IOException {
    Path file = Files.createFile(cache.resolve("file"));
    assertThat(NativeLibrary.unpack(file)).isNull();
  }
}
