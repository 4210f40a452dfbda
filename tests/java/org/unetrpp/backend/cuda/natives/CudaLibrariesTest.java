package org.unetrpp.backend.cuda.natives;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CudaLibrariesTest {
  @TempDir Path root;

  private CudaLibraries libraries() {
    return new CudaLibraries(
        new SearchPath(root, Map.of(), root.resolve("home").toString(), root.toString()), true);
  }

  @Test
  void machineWithoutAnythingIsToldInWords() {
    assertThat(libraries().useAll())
        .extracting(LibraryStatus::toString)
        .containsExactly(
            "the NVIDIA driver: not usable: no NVIDIA driver: libcuda.so.1 was not found",
            "NVRTC: not usable: libnvrtc.so.13 or libnvrtc.so.12 was not found; "
                + "set UNETRPP_CUDA_PATH to the folder that has it",
            "cuBLAS: not usable: libcublas.so.13 or libcublas.so.12 was not found; "
                + "set UNETRPP_CUDA_PATH to the folder that has it",
            "cuDNN: not usable: libcudnn.so.9 or libcudnn.so.8 was not found; "
                + "set UNETRPP_CUDA_PATH to the folder that has it");
  }

  @Test
  void librariesWithoutADriverAreFoundAndNotLoaded() throws IOException {
    Path file = Files.writeString(root.resolve("libcublas.so.13.0.2"), "no library at all");
    Files.createSymbolicLink(root.resolve("libcublas.so.13"), file);
    LibraryStatus status = libraries().use(CudaLibrary.CUBLAS);
    assertThat(status.isUsable()).isFalse();
    assertThat(status)
        .hasToString(
            "cuBLAS 13.0.2: not usable: not loaded, as there is no usable NVIDIA driver (%s)"
                .formatted(file.toRealPath()));
    assertThat(libraries().use(CudaLibrary.NVRTC).problem())
        .as("those of the chosen CUDA only")
        .startsWith("libnvrtc.so.13 was not found");
  }

  @Test
  void fileThatIsNoLibraryIsAProblemNotAnError() throws IOException {
    Path file = Files.writeString(root.resolve("libcuda.so.1"), "no library at all");
    LibraryStatus status = libraries().use(CudaLibrary.DRIVER);
    assertThat(status.file()).isEqualTo(file.toRealPath());
    assertThat(status.problem())
        .isEqualTo("it does not load: %s: no library for Linux on x86-64".formatted(file));
  }

  @Test
  void otherPlatformsAreToldSo() {
    CudaLibraries libraries =
        new CudaLibraries(new SearchPath(root, Map.of(), "/", root.toString()), false);
    assertThat(libraries.use(CudaLibrary.DRIVER).problem())
        .isEqualTo("GPUs are used on Linux on x86-64 only");
  }

  @Test
  void reasonIsTheLoadersWithoutTheStackTracesAroundIt() {
    UnsatisfiedLinkError wrapped =
        new UnsatisfiedLinkError(
            """
            Error while loading native library "JCudnn-12.6.0-linux-x86_64"
            Operating system name: Linux
            Stack trace from the attempt to load the library as a file:
            java.lang.UnsatisfiedLinkError: no JCudnn-12.6.0-linux-x86_64 in java.library.path
            \tat java.base/java.lang.System.loadLibrary(System.java:1)
            Stack trace from the attempt to load the library as a resource:
            java.lang.UnsatisfiedLinkError: /tmp/x/libJCudnn.so: libcudnn.so.8: cannot open
            \tat java.base/java.lang.System.load(System.java:1)
            ---(end of nested stack traces)---
            """);
    assertThat(CudaLibraries.reason(wrapped))
        .isEqualTo("/tmp/x/libJCudnn.so: libcudnn.so.8: cannot open");
    assertThat(CudaLibraries.reason(new UnsatisfiedLinkError("/a.so: no such file")))
        .isEqualTo("/a.so: no such file");
    assertThat(CudaLibraries.reason(new NoClassDefFoundError("jcuda/Pointer")))
        .isEqualTo("class jcuda/Pointer is missing");
    assertThat(CudaLibraries.reason(new UnsatisfiedLinkError("x: failed to map segment from y")))
        .endsWith("set -Djava.io.tmpdir to a folder from which programs may run");
  }

  @ParameterizedTest
  @CsvSource({"8907, 8.9.7", "8100, 8.1.0", "90000, 9.0.0", "91002, 9.10.2", "91400, 9.14.0"})
  void cudnnVersionIsReadFromBothFormsOfItsNumber(long number, String version) {
    assertThat(LibraryCalls.cudnnVersion(number)).isEqualTo(version);
  }

  @ParameterizedTest
  @CsvSource({"12060, 12.6", "13000, 13.0", "13010, 13.1", "11080, 11.8"})
  void cudaVersionIsReadFromItsNumber(int number, String version) {
    assertThat(LibraryCalls.cudaVersion(number)).isEqualTo(version);
  }
}
