package org.unetrpp.backend.cuda.natives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BindingsTest {
  private static final String TEMPORARY = "java.io.tmpdir";

  @TempDir Path root;

  @Test
  void folderForTemporaryFilesIsPrivateWhileAClassInitializes() throws IOException {
    String before = System.getProperty(TEMPORARY);
    byte[] image = {1, 2, 3};
    Bindings.whileInstalled(
        Optional.of(root),
        "libX.so",
        image,
        () -> {
          Path folder = Path.of(System.getProperty(TEMPORARY));
          assertThat(folder).hasParent(root);
          assertThat(folder.resolve("libX.so")).hasBinaryContent(image);
        });
    assertThat(System.getProperty(TEMPORARY)).isEqualTo(before);
    assertThat(root).isEmptyDirectory();
  }

  @Test
  void nothingIsLeftBehindAFailure() {
    String before = System.getProperty(TEMPORARY);
    assertThatThrownBy(() ->
            Bindings.whileInstalled(
                Optional.of(root),
                "libX.so",
                new byte[0],
                () -> {
                  throw new UnsatisfiedLinkError("no libY.so");
                }))
        .isInstanceOf(UnsatisfiedLinkError.class);
    assertThat(System.getProperty(TEMPORARY)).isEqualTo(before);
    assertThat(root).isEmptyDirectory();
  }

  @Test
  void othersTemporaryFilesDoNotGoThere() throws IOException {
    Bindings.whileInstalled(
        Optional.of(root),
        "libX.so",
        new byte[0],
        () -> {
          try {
            Path first = Files.createTempFile("other", null);
            Path second = File.createTempFile("other", null).toPath();
            for (Path file : List.of(first, second)) {
              assertThat(file.startsWith(root)).isFalse();
              Files.delete(file);
            }
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  /** The native parts that the build uses, where this platform's profile brings them. */
  @ParameterizedTest
  @EnumSource(CudaLibrary.class)
  void everyNativePartNeedsTheLibraryThatItIsSaidToNeed(CudaLibrary library) throws IOException {
    try (InputStream in =
        BindingsTest.class.getClassLoader().getResourceAsStream(library.bindingResource())) {
      assumeTrue(in != null, library.bindingArtifact());
      ElfLibrary part = new ElfLibrary(in.readAllBytes());
      String bound = library.soname(library.boundMajor());
      assertThat(part.needed()).contains(bound);
      for (int major : Stream.of(12, 13).flatMap(cuda -> majors(library, cuda)).toList()) {
        String wanted = library.soname(major);
        assertThat(new ElfLibrary(part.retargeted(bound, wanted)).needed()).contains(wanted);
      }
    }
  }

  private static Stream<Integer> majors(CudaLibrary library, int cudaMajor) {
    return Arrays.stream(library.majors(cudaMajor)).boxed();
  }
}
