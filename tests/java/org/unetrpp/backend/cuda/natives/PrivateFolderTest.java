package org.unetrpp.backend.cuda.natives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PrivateFolderTest {
  @TempDir Path root;

  @BeforeEach
  void needsRights() {
    assumeTrue(FileSystems.getDefault().supportedFileAttributeViews().contains("posix"));
  }

  private static String rights(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  @Test
  void temporaryFolderIsTheOwnersAlone() throws IOException {
    Path folder = PrivateFolder.temporary(Optional.of(root));
    assertThat(rights(folder)).isEqualTo("rwx------");
    assertThat(folder).hasParent(root);
    Path another = PrivateFolder.temporary(Optional.empty());
    assertThat(rights(another)).isEqualTo("rwx------");
    PrivateFolder.delete(another);
  }

  @Test
  void folderIsDeletedWithItsFiles() throws IOException {
    Path folder = PrivateFolder.temporary(Optional.of(root));
    Files.writeString(folder.resolve("a"), "a");
    PrivateFolder.delete(folder);
    assertThat(folder).doesNotExist();
  }

  @Test
  void lastingFolderIsMadeForTheOwnerAlone() throws IOException {
    Path folder = root.resolve("a/b");
    assertThat(PrivateFolder.lasting(folder)).contains(folder);
    assertThat(rights(folder)).isEqualTo("rwx------");
    assertThat(rights(root.resolve("a"))).isEqualTo("rwx------");
    assertThat(PrivateFolder.lasting(folder)).contains(folder);
  }

  @Test
  void folderThatOthersCanWriteToIsNotUsed() throws IOException {
    for (String rights : new String[] {"rwxrwx---", "rwx---rwx"}) {
      Path folder = Files.createTempDirectory(root, "open");
      Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString(rights));
      assertThat(PrivateFolder.lasting(folder)).as(rights).isEmpty();
    }
  }

  @Test
  void linkOrFileInPlaceOfTheFolderIsNotUsed() throws IOException {
    Path link = root.resolve("link");
    Files.createSymbolicLink(link, PrivateFolder.temporary(Optional.of(root)));
    assertThat(PrivateFolder.lasting(link)).isEmpty();
    Path file = Files.createFile(root.resolve("file"));
    assertThat(PrivateFolder.lasting(file)).isEmpty();
    assertThat(PrivateFolder.lasting(file.resolve("below"))).isEmpty();
  }

  @Test
  void cacheIsWhereTheUserHasCaches() {
    assertThat(PrivateFolder.ofCache(Map.of(), "/home/me"))
        .isEqualTo(Path.of("/home/me/.cache/unetrpp"));
    assertThat(PrivateFolder.ofCache(Map.of("XDG_CACHE_HOME", "/caches"), "/home/me"))
        .isEqualTo(Path.of("/caches/unetrpp"));
    assertThat(PrivateFolder.ofCache(Map.of("XDG_CACHE_HOME", "relative"), "/home/me"))
        .isEqualTo(Path.of("/home/me/.cache/unetrpp"));
  }
}
