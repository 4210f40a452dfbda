package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** kernels/build.sh with a stand-in for nvcc that copies sources. */
@EnabledOnOs(OS.LINUX)
class KernelBuildTest {
  /** Notes what it compiles; a source with "error" in it does not compile. */
  private static final String NVCC =
      """
      #!/bin/sh
      case "$1" in
        --version) echo "Build $VERSION"; exit ;;
        --list-gpu-code) echo "sm_80"; echo "sm_90"; exit ;;
        --help) exit ;;
      esac
      for argument; do
        case "$previous" in -o) out=$argument ;; --keep-dir) keep=$argument ;; esac
        case "$argument" in *.cu) source=$argument ;; esac
        previous=$argument
      done
      if grep error "$source" || [ -n "$BROKEN" ]; then echo "cannot compile"; exit 1; fi
      echo "$source" >> "$(dirname "$0")/compiled"
      cp "$source" "$out"
      if [ -n "$keep" ]; then printf '.visible .entry k(\\n)\\n.maxntid 32, 4\\n' > "$keep/k.ptx"; fi
      """;

  @TempDir Path folder;

  /** What a build printed and how it ended. */
  private record Outcome(String output, int status) {}

  @BeforeEach
  void writeSources() throws IOException {
    Files.copy(Path.of("../kernels/build.sh"), folder.resolve("build.sh"));
    Files.writeString(folder.resolve("nvcc"), NVCC);
    Files.setPosixFilePermissions(
        folder.resolve("nvcc"), PosixFilePermissions.fromString("rwx------"));
    Files.writeString(folder.resolve("common.cuh"), "// shared");
    Files.writeString(folder.resolve("add.cu"), "// adds");
    Files.writeString(folder.resolve("multiply.cu"), "// multiplies");
  }

  private Outcome build(String nvcc, Map<String, String> environment) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder("bash", folder.resolve("build.sh").toString(), target().toString())
            .redirectErrorStream(true);
    builder.environment().put("UNETRPP_NVCC", nvcc);
    builder.environment().remove("UNETRPP_CUDA_TARGETS");
    builder.environment().putAll(environment);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Outcome(output, process.waitFor());
  }

  private Outcome build(Map<String, String> environment) throws Exception {
    return build(folder.resolve("nvcc").toString(), environment);
  }

  private Outcome build() throws Exception {
    return build(Map.of());
  }

  private Path target() {
    return folder.resolve("target");
  }

  private List<String> images() throws IOException {
    try (Stream<Path> files = Files.list(target().resolve("classes/kernels"))) {
      return files.map(path -> Objects.requireNonNull(path.getFileName()).toString()).toList();
    }
  }

  /** Names of the sources compiled since the last call. */
  private List<String> compiled() throws IOException {
    Path noted = folder.resolve("compiled");
    if (!Files.exists(noted)) {
      return List.of();
    }
    List<String> names =
        Files.readAllLines(noted).stream()
            .map(line -> Objects.requireNonNull(Path.of(line).getFileName()).toString())
            .filter(name -> !name.equals("probe.cu"))
            .toList();
    Files.delete(noted);
    return names;
  }

  @Test
  void passesWithoutNvccAndSaysSoInOneLine() throws Exception {
    Outcome outcome = build("none", Map.of());
    assertThat(outcome.status).isZero();
    assertThat(outcome.output.lines()).hasSize(1);
    assertThat(build(folder.resolve("missing").toString(), Map.of()).status).isZero();
    assertThat(target().resolve("classes")).doesNotExist();
  }

  @Test
  void passesWithAnNvccThatCompilesNothing() throws Exception {
    Outcome outcome = build(Map.of("BROKEN", "1"));
    assertThat(outcome.status).isZero();
    assertThat(outcome.output).contains("does not work (cannot compile)");
    assertThat(images()).isEmpty();
  }

  @Test
  void compilesWhatChangedAndNothingElse() throws Exception {
    assertThat(build().status).isZero();
    assertThat(compiled()).containsExactlyInAnyOrder("add.cu", "multiply.cu");
    assertThat(images()).containsExactlyInAnyOrder("add.fatbin", "multiply.fatbin");
    assertThat(target().resolve("ptxas/add.txt")).content().contains("block of k: 128");

    build();
    assertThat(compiled()).isEmpty();
    Files.writeString(folder.resolve("add.cu"), "// adds twice");
    build();
    assertThat(compiled()).containsExactly("add.cu");
    Files.writeString(folder.resolve("common.cuh"), "// more is shared");
    build();
    assertThat(compiled()).containsExactlyInAnyOrder("add.cu", "multiply.cu");
    build(Map.of("VERSION", "2"));
    assertThat(compiled()).containsExactlyInAnyOrder("add.cu", "multiply.cu");
  }

  @Test
  void failsWithTheCompilersWordsAndKeepsWhatCompiled() throws Exception {
    Files.writeString(folder.resolve("add.cu"), "error");
    Outcome outcome = build();
    assertThat(outcome.status).isNotZero();
    assertThat(outcome.output).contains("add.cu does not compile", "cannot compile");
    assertThat(images()).containsExactly("multiply.fatbin");
  }

  @Test
  void leavesNoImageOfASourceThatChangedOrWent() throws Exception {
    build();
    Files.writeString(folder.resolve("add.cu"), "// adds twice");
    build("none", Map.of());
    assertThat(images()).containsExactly("multiply.fatbin");
    Files.delete(folder.resolve("multiply.cu"));
    build();
    assertThat(images()).containsExactly("add.fatbin");
  }

  @Test
  void targetsCanBeChosenAmongThoseThatNvccKnows() throws Exception {
    Outcome outcome = build(Map.of("UNETRPP_CUDA_TARGETS", "90 75"));
    assertThat(outcome.output).contains("does not know sm_75");
    assertThat(target().resolve("fingerprints/add.sum"))
        .content()
        .contains("arch=compute_90,code=sm_90")
        .doesNotContain("compute_80");
  }
}
