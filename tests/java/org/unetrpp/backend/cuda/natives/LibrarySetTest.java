package org.unetrpp.backend.cuda.natives;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LibrarySetTest {
  @TempDir Path root;

  private final List<Path> named = new ArrayList<>();
  private final List<Path> folders = new ArrayList<>();

  private Path folder(String name, String... files) throws IOException {
    Path folder = Files.createDirectory(root.resolve(name));
    for (String file : files) {
      Files.createFile(folder.resolve(file));
    }
    folders.add(folder);
    return folder;
  }

  /** The chosen files, as in {@code a/libcublas.so.13}. */
  private Map<CudaLibrary, String> chosen(int newest) {
    return LibrarySet.choose(named, folders, newest).files().entrySet().stream()
        .collect(
            Collectors.toMap(
                Map.Entry::getKey, entry -> root.relativize(entry.getValue().file()).toString()));
  }

  @Test
  void librariesAreOfOneCuda() throws IOException {
    folder("a", "libcublas.so.12");
    folder("b", "libcublas.so.13", "libnvrtc.so.13");
    folder("c", "libnvrtc.so.12", "libcudnn.so.9");
    assertThat(chosen(13))
        .isEqualTo(
            Map.of(
                CudaLibrary.CUBLAS, "b/libcublas.so.13",
                CudaLibrary.NVRTC, "b/libnvrtc.so.13",
                CudaLibrary.CUDNN, "c/libcudnn.so.9"));
  }

  @Test
  void fullerSetIsPreferredToTheNewer() throws IOException {
    folder("a", "libcublas.so.13");
    folder("b", "libcublas.so.12", "libnvrtc.so.12");
    assertThat(chosen(13))
        .isEqualTo(
            Map.of(CudaLibrary.CUBLAS, "b/libcublas.so.12", CudaLibrary.NVRTC, "b/libnvrtc.so.12"));
  }

  @Test
  void driverOfCuda12GetsLibrariesOfCuda12() throws IOException {
    folder("a", "libcublas.so.13", "libnvrtc.so.13");
    folder("b", "libcublas.so.12");
    assertThat(chosen(12)).isEqualTo(Map.of(CudaLibrary.CUBLAS, "b/libcublas.so.12"));
  }

  @Test
  void laterDriverRunsTheNewestLibrariesThatAreKnown() throws IOException {
    folder("a", "libcublas.so.13", "libcublas.so.14");
    assertThat(chosen(14)).isEqualTo(Map.of(CudaLibrary.CUBLAS, "a/libcublas.so.13"));
  }

  @Test
  void foldersThatTheUserNamesDecide() throws IOException {
    named.add(folder("mine", "libcublas.so.12", "libcudnn.so.8"));
    folder("a", "libcublas.so.13", "libnvrtc.so.13", "libcudnn.so.9");
    folder("b", "libnvrtc.so.12");
    assertThat(chosen(13))
        .isEqualTo(
            Map.of(
                CudaLibrary.CUBLAS, "mine/libcublas.so.12",
                CudaLibrary.CUDNN, "mine/libcudnn.so.8",
                CudaLibrary.NVRTC, "b/libnvrtc.so.12"));
  }

  @Test
  void cudnn8GoesWithCuda12Only() throws IOException {
    folder("a", "libcudnn.so.8", "libcublas.so.13", "libnvrtc.so.13");
    assertThat(chosen(13)).doesNotContainKey(CudaLibrary.CUDNN);
    folder("b", "libcublas.so.12", "libnvrtc.so.12");
    assertThat(chosen(12)).containsEntry(CudaLibrary.CUDNN, "a/libcudnn.so.8");
  }

  @Test
  void versionIsThatOfTheFileBehindLinks() throws IOException {
    Path folder = folder("a", "libcublas.so.13.0.2.14");
    Files.createSymbolicLink(
        folder.resolve("libcublas.so.13"), folder.resolve("libcublas.so.13.0.2.14"));
    LibrarySet.Found found =
        LibrarySet.find(CudaLibrary.CUBLAS, new int[] {13}, folders).orElseThrow();
    assertThat(found.versionOfName()).contains("13.0.2.14");
    assertThat(found.realFile().getFileName()).hasToString("libcublas.so.13.0.2.14");
  }
}
