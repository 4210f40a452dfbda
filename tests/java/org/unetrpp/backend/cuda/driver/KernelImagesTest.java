package org.unetrpp.backend.cuda.driver;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KernelImagesTest {
  @TempDir Path folder;

  private final Map<String, String> files = new HashMap<>();
  private final List<String> compiled = new ArrayList<>();
  private String identity = "compiler 1 for sm_90";

  /** A driver that takes only images that say they are good. */
  private static String load(byte[] image) throws ImageRefusedException {
    String text = new String(image, UTF_8);
    if (!text.startsWith("good")) {
      throw new ImageRefusedException("refused " + text);
    }
    return text;
  }

  private Optional<byte[]> read(String name) {
    return Optional.ofNullable(files.get(name)).map(text -> text.getBytes(UTF_8));
  }

  private final class Compiler implements KernelCompiler {
    @Override
    public String identity() {
      return identity;
    }

    @Override
    public byte[] compile(KernelSource source) {
      compiled.add(source.name());
      return ("good " + source.text()).getBytes(UTF_8);
    }
  }

  private KernelImages images(ImageCache cache) {
    return new KernelImages(this::read, cache, Compiler::new);
  }

  private String load() {
    return images(new ImageCache(folder.resolve("kernels"))).load("norm", KernelImagesTest::load);
  }

  private List<Path> kept() throws IOException {
    try (Stream<Path> listed = Files.list(folder.resolve("kernels"))) {
      return listed.toList();
    }
  }

  @Test
  void imageOfTheBuildIsTakenFirst() {
    files.put("norm.fatbin", "good of the build");
    files.put("norm.cu", "source");
    assertThat(load()).isEqualTo("good of the build");
    assertThat(compiled).isEmpty();
  }

  @Test
  void refusedImageOfTheBuildIsReplacedByACompiledOne() {
    files.put("norm.fatbin", "for another device");
    files.put("norm.cu", "source");
    assertThat(load()).isEqualTo("good source");
    assertThat(load()).isEqualTo("good source");
    assertThat(compiled).containsExactly("norm");
  }

  @Test
  void everyChangeOfWhatAnImageDependsOnCompilesAnew() throws IOException {
    files.put("norm.cu", "#include \"common.cuh\"\nsource");
    files.put("common.cuh", "  #  include \"deeper.cuh\"");
    files.put("deeper.cuh", "#include \"common.cuh\"");
    load();
    load();
    assertThat(compiled).hasSize(1);
    identity = "compiler 2 for sm_90";
    load();
    assertThat(compiled).hasSize(2);
    files.put("deeper.cuh", "changed");
    load();
    assertThat(compiled).hasSize(3);
    files.put("norm.cu", "#include \"common.cuh\"\nchanged");
    load();
    assertThat(compiled).hasSize(4);
    load();
    assertThat(compiled).hasSize(4);
    assertThat(kept()).hasSize(4);
  }

  @Test
  void keysOfDifferentTextsDiffer() {
    KernelSource source = new KernelSource("a", "bc", new TreeMap<>(Map.of("x", "yz")));
    assertThat(
            List.of(
                KernelImages.key(source, "c"),
                KernelImages.key(new KernelSource("ab", "c", source.headers()), "c"),
                KernelImages.key(
                    new KernelSource("a", "bc", new TreeMap<>(Map.of("xy", "z"))), "c"),
                KernelImages.key(source, "ca")))
        .doesNotHaveDuplicates()
        .allMatch(key -> key.matches("[0-9a-f]{32}"));
  }

  @Test
  void damagedKeptImageIsReplaced() throws IOException {
    files.put("norm.cu", "source");
    load();
    byte[] whole = Files.readAllBytes(kept().getFirst());
    byte[] changed = whole.clone();
    changed[40] ^= 1;
    List<byte[]> damages =
        List.of(
            changed, Arrays.copyOf(whole, whole.length - 1), Arrays.copyOf(whole, 5), new byte[0]);
    for (byte[] damage : damages) {
      Files.write(kept().getFirst(), damage);
      compiled.clear();
      assertThat(load()).isEqualTo("good source");
      assertThat(compiled).containsExactly("norm");
      assertThat(kept())
          .singleElement()
          .satisfies(file -> assertThat(file).hasBinaryContent(whole));
    }
  }

  @Test
  void keptImageThatTheDriverNowRefusesIsReplaced() throws IOException {
    files.put("norm.cu", "source");
    load();
    ImageCache cache = new ImageCache(folder.resolve("kernels"));
    String name = kept().getFirst().getFileName().toString();
    cache.write(name, "for an older driver".getBytes(UTF_8));
    assertThat(load()).isEqualTo("good source");
    assertThat(compiled).hasSize(2);
    assertThat(cache.read(name)).hasValue("good source".getBytes(UTF_8));
  }

  @Test
  void folderThatOthersCanWriteToIsNeitherReadNorWritten() throws IOException {
    files.put("norm.cu", "source");
    load();
    Files.setPosixFilePermissions(
        folder.resolve("kernels"), PosixFilePermissions.fromString("rwxrwxrwx"));
    identity = "another";
    assertThat(load()).isEqualTo("good source");
    assertThat(load()).isEqualTo("good source");
    assertThat(compiled).hasSize(3);
    assertThat(kept()).hasSize(1);
  }

  @Test
  void machineWithoutAFolderToKeepImagesInCompilesEachTime() throws IOException {
    files.put("norm.cu", "source");
    Path file = Files.createFile(folder.resolve("file"));
    ImageCache nowhere = new ImageCache(file.resolve("kernels"));
    for (int i = 0; i < 2; i++) {
      assertThat(images(nowhere).<String>load("norm", KernelImagesTest::load))
          .isEqualTo("good source");
    }
    assertThat(compiled).hasSize(2);
  }

  @Test
  void everythingThatWasTriedIsTold() {
    files.put("norm.fatbin", "A");
    files.put("norm.cu", "source");
    KernelImages images =
        new KernelImages(
            this::read,
            new ImageCache(folder),
            () -> {
              throw new CudaException("no compiler");
            });
    assertThatThrownBy(() -> images.load("norm", KernelImagesTest::load))
        .isInstanceOf(CudaException.class)
        .hasMessage(
            "no image of kernels/norm can be used on this device: the image in the jar: refused A; "
                + "compiling it here: no compiler");
  }

  @Test
  void fileThatIsNotThereIsTold() {
    assertThatThrownBy(this::load)
        .isInstanceOf(CudaException.class)
        .hasMessageEndingWith("its source is not on the class path");
    files.put("norm.cu", "#include \"common.cuh\"\n");
    assertThatThrownBy(this::load)
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("kernels/norm.cu includes 'common.cuh'");
  }

  @Test
  void folderIsWhereTheUserSays() {
    Map<String, String> environment = Map.of(ImageCache.VARIABLE, "/fast/kernels");
    assertThat(ImageCache.folder("", Map.of(), "/home/me"))
        .isEqualTo(Path.of("/home/me/.cache/unetrpp/kernels"));
    assertThat(ImageCache.folder("", environment, "/home/me")).isEqualTo(Path.of("/fast/kernels"));
    assertThat(ImageCache.folder("/faster", environment, "/home/me")).isEqualTo(Path.of("/faster"));
  }

  @ParameterizedTest(name = "device {0}: {1}")
  @CsvSource({
    "90, sm_90",
    "89, sm_86",
    "86, sm_86",
    "75, sm_75",
    "121, sm_120",
    "103, compute_90",
    "130, compute_120"
  })
  void targetIsTheClosestThatRunsOnTheDevice(int device, String target) {
    assertThat(CompileTarget.of(device, new int[] {75, 80, 86, 90, 120})).hasToString(target);
  }

  @Test
  void deviceOlderThanTheCompilerKnowsIsTold() {
    assertThatThrownBy(() -> CompileTarget.of(70, new int[] {75, 80}))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("compute capability 7.0");
  }
}
