package org.unetrpp.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFileTest {
  @TempDir Path folder;

  @Test
  void contentReplacesWhatWasThere() throws IOException {
    Path target = Files.writeString(folder.resolve("a.txt"), "old and longer");
    AtomicFile.write(target, out -> out.write(new byte[] {1, 2, 3}));
    assertThat(target).hasBinaryContent(new byte[] {1, 2, 3});
    assertThat(names()).containsExactly("a.txt");
  }

  @Test
  void fullDiskLeavesTheTargetAndNothingBesideIt() throws IOException {
    Path target = Files.writeString(folder.resolve("a.txt"), "old");
    assertThatThrownBy(() ->
            AtomicFile.write(
                target,
                out -> {
                  out.write(new byte[5 << 20]);
                  throw new IOException("No space left on device");
                }))
        .isInstanceOf(IOException.class)
        .hasMessage(target + ": cannot be written: No space left on device");
    assertThat(target).hasContent("old");
    assertThat(names()).containsExactly("a.txt");
  }

  @Test
  void uncheckedFailureLeavesTheTargetAndNothingBesideIt() throws IOException {
    Path target = Files.writeString(folder.resolve("a.txt"), "old");
    assertThatThrownBy(() ->
            AtomicFile.write(
                target,
                _ -> {
                  throw new IllegalStateException("stopped");
                }))
        .isInstanceOf(IllegalStateException.class);
    assertThat(target).hasContent("old");
    assertThat(names()).containsExactly("a.txt");
  }

  @Test
  void missingFolderIsNamed() {
    Path target = folder.resolve("none").resolve("a.txt");
    assertThatThrownBy(() -> AtomicFile.write(target, out -> out.write(1)))
        .isInstanceOf(IOException.class)
        .hasMessage(target + ": cannot be written: the folder does not exist");
  }

  @Test
  void fileInPlaceOfTheFolderIsNamed() throws IOException {
    Path target = Files.writeString(folder.resolve("a"), "").resolve("b");
    assertThatThrownBy(() -> AtomicFile.write(target, out -> out.write(1)))
        .isInstanceOf(IOException.class)
        .hasMessage(target + ": cannot be written: Not a directory");
  }

  @Test
  void folderIsNoTarget() {
    assertThatThrownBy(() -> AtomicFile.write(folder, out -> out.write(1)))
        .isInstanceOf(IOException.class)
        .hasMessage(folder + ": not the name of a file");
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
