package org.unetrpp.backend.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.backend.cuda.driver.StandIns.Run;
import org.unetrpp.cli.Main;

/** The way through JCuda into libraries that stand in for NVIDIA's. */
class JcudaDriverTest {
  private static final String COMPILED = "stand-in: compiled for sm_90 with 1 headers";
  private static final String LOADED = "stand-in: image loaded";

  private static final int BAD_INPUT = 3;
  private static final int DEVICE = 4;

  @TempDir Path libraries;
  @TempDir Path resources;
  @TempDir Path cache;

  @BeforeAll
  static void needsCompilerAndJcuda() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
    assumeTrue(
        JcudaDriverTest.class
                .getClassLoader()
                .getResource("lib/libJCudaDriver-12.6.0-linux-x86_64.so")
            != null,
        "needs JCuda's native parts on the class path");
  }

  private StandIns standIns() throws IOException {
    return new StandIns(libraries)
        .driver()
        .resources(resources)
        .property(ImageCache.PROPERTY, cache.resolve("kernels"));
  }

  private void kernelFile(String name, String text) throws IOException {
    Files.writeString(Files.createDirectories(resources.resolve("kernels")).resolve(name), text);
  }

  private void source(String text) throws IOException {
    kernelFile("vector.cu", "#include \"vector.cuh\"\n" + text);
    kernelFile("vector.cuh", "// helpers");
  }

  private static List<String> done(Run run) {
    assertThat(run.exitCode()).as(run::text).isZero();
    assertThat(run.out()).as(run::text).endsWith("done");
    return run.out().subList(0, run.out().size() - 1);
  }

  @ParameterizedTest(name = "CUDA {0} with cuDNN {1}")
  @CsvSource({"13, 9, 9.10.2", "12, 9, 9.10.2", "12, 8, 8.9.7"})
  void librariesOfEveryPairAreBoundAndTellTheirVersions(int cuda, int cudnn, String version)
      throws IOException {
    Run run =
        standIns()
            .nvrtc(cuda)
            .cublas(cuda)
            .cudnn(cudnn, cuda * 1000 + 60)
            .run(StandInChild.class, "report");
    Path folder = libraries.toRealPath();
    assertThat(done(run))
        .containsExactly(
            "cuda:0: usable, stand-in device, 132 multiprocessors, 1.0 GiB, sm_90",
            "  the NVIDIA driver 580.12 for CUDA 13.0: " + folder.resolve("libcuda.so.580.12"),
            "  NVRTC %d.4: %s".formatted(cuda, folder.resolve("libnvrtc.so." + cuda)),
            "  cuBLAS %d.7.2: %s".formatted(cuda, folder.resolve("libcublas.so." + cuda)),
            "  cuDNN %s: %s".formatted(version, folder.resolve("libcudnn.so." + cudnn)));
    assertThat(run.err()).as("nothing but JCuda's silence").isEmpty();
  }

  @Test
  void cudnnOfAnotherCudaIsNotUsed() throws IOException {
    Run run = standIns().nvrtc(13).cublas(13).cudnn(9, 12_060).run(StandInChild.class, "report");
    assertThat(done(run).getLast())
        .startsWith(
            "  cuDNN 9.10.2: not usable: it is made for CUDA 12 and the other libraries found are "
                + "of CUDA 13 (");
  }

  @Test
  void oneDamagedLibraryDoesNotKeepTheOthersFromUse() throws IOException {
    StandIns standIns = standIns().nvrtc(13).cudnn(9, 13_000);
    Files.writeString(libraries.resolve("libcublas.so.13"), "half a download");
    assertThat(done(standIns.run(StandInChild.class, "report")))
        .anyMatch(line -> line.startsWith("cuda:0: usable"))
        .anyMatch(line -> line.startsWith("  cuBLAS: not usable: it does not load: "))
        .anyMatch(line -> line.startsWith("  cuDNN 9.10.2: /"));
  }

  @Test
  void libraryThatNeedsWhatIsNotThereIsToldInTheLoadersWords() throws IOException {
    StandIns standIns = standIns().nvrtc(13).cublas(13).cudnn(9, 13_000);
    Files.delete(libraries.resolve("libcublasLt.so.13"));
    assertThat(done(standIns.run(StandInChild.class, "report")))
        .anyMatch(line -> line.startsWith("  NVRTC 13.4: /"))
        .anyMatch(line ->
            line.startsWith("  cuBLAS: not usable: it does not load: ")
                && line.contains("libcublasLt.so.13: cannot open shared object file"));
  }

  @Test
  void workGoesToTheDriverAndErrorsComeBackInItsWords() throws IOException {
    kernelFile("vector.fatbin", "IMAGE sm_90\n");
    Run run = standIns().run(StandInChild.class, "work");
    done(run);
    assertThat(run.err())
        .containsOnlyOnce(LOADED)
        .containsSubsequence(
            "stand-in: 60000 bytes of shared memory allowed",
            "stand-in: 70000 bytes of shared memory allowed",
            "stand-in: image unloaded",
            "stand-in: context released")
        .doesNotContain("stand-in: 50000 bytes of shared memory allowed");
  }

  @Test
  void whatWasNotGivenBackIsAtTheEnd() throws IOException {
    kernelFile("vector.fatbin", "IMAGE sm_90\n");
    Run run = standIns().run(StandInChild.class, "kernel");
    assertThat(done(run)).isEmpty();
    assertThat(run.err())
        .containsExactly(
            LOADED,
            "stand-in: all memory freed",
            "stand-in: image unloaded",
            "stand-in: context released");
  }

  @Test
  void deviceThatCanBeUsedIsTheBestThereIs() throws IOException {
    assertThat(done(standIns().run(StandInChild.class, "auto")))
        .containsExactly("Cuda[ordinal=0]", "cuda:0 BFLOAT16");
  }

  @Test
  void imageThatTheDriverRefusesIsCompiledOnceAndKept() throws IOException {
    kernelFile("vector.fatbin", "IMAGE sm_75\n");
    source("// first");
    StandIns standIns = standIns().nvrtc(13);
    Run first = standIns.run(StandInChild.class, "kernel");
    assertThat(done(first)).isEmpty();
    assertThat(first.err()).contains(COMPILED, LOADED);
    Run second = standIns.run(StandInChild.class, "kernel");
    assertThat(done(second)).isEmpty();
    assertThat(second.err()).contains(LOADED).doesNotContain(COMPILED);

    try (Stream<Path> kept = Files.list(cache.resolve("kernels"))) {
      Path image = kept.toList().getFirst();
      byte[] bytes = Files.readAllBytes(image);
      bytes[bytes.length - 1] ^= 1;
      Files.write(image, bytes);
    }
    assertThat(standIns.run(StandInChild.class, "kernel").err()).contains(COMPILED, LOADED);
    assertThat(standIns.run(StandInChild.class, "kernel").err()).doesNotContain(COMPILED);
    source("// second");
    assertThat(standIns.run(StandInChild.class, "kernel").err()).contains(COMPILED);
  }

  @Test
  void kernelThatDoesNotCompileIsToldWithTheCompilersWords() throws IOException {
    source("#error");
    Run run = standIns().nvrtc(12).run(StandInChild.class, "kernel");
    assertThat(done(run))
        .containsExactly(
            "no image of kernels/vector can be used on this device: compiling it here: "
                + "NVRTC_ERROR_COMPILATION: vector.cu(3): error: the text says so");
  }

  @Test
  void kernelsThatCanNeitherBeUsedNorCompiledAreToldWithBothReasons() throws IOException {
    kernelFile("vector.fatbin", "IMAGE sm_75\n");
    source("");
    StandIns standIns = standIns();
    Files.writeString(libraries.resolve("libnvrtc.so.13"), "half a download");
    assertThat(done(standIns.run(StandInChild.class, "kernel")))
        .singleElement()
        .asString()
        .startsWith(
            "no image of kernels/vector can be used on this device: the image in the jar: "
                + "CUDA_ERROR_NO_BINARY_FOR_GPU (209), no kernel image is available for execution "
                + "on the device; compiling it here: NVRTC: not usable: it does not load: ");
  }

  @Test
  void deviceThatIsNotThereIsTold() throws IOException {
    assertThat(done(standIns().run(StandInChild.class, "open", "1")))
        .containsExactly("this machine has 1 NVIDIA GPU, counted from 0");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          STAND_IN_INIT           | 100   | the driver finds no NVIDIA GPU
          STAND_IN_INIT           | 700   | the driver does not start: CUDA_ERROR_ILLEGAL_ADDRESS (700), an illegal memory access was encountered
          STAND_IN_DRIVER_VERSION | 11080 | the driver is for CUDA 11.8, 12.0 or later is needed: install a newer driver
          STAND_IN_CAPABILITY     | 70    | stand-in device has compute capability 7.0, 7.5 or later is needed
          """)
  void driverOrDeviceThatCannotBeUsedIsOneLineForTheUser(String setting, long value, String reason)
      throws IOException {
    StandIns standIns = standIns().with(setting, value);
    Run asked = standIns.run(Main.class, "segment", "x.nii.gz", "--device", "cuda");
    assertThat(asked.exitCode()).as(asked::text).isEqualTo(DEVICE);
    assertThat(asked.err()).last().asString().isEqualTo("error: cuda:0: " + reason);
    assertThat(asked.out()).isEmpty();

    Run devices = standIns.run(Main.class, "devices");
    assertThat(devices.exitCode()).as(devices::text).isZero();
    assertThat(devices.out()).filteredOn(line -> line.contains("not usable: " + reason)).hasSize(1);
    assertThat(devices.err()).isEmpty();
  }

  @Test
  void userWhoseDriverCannotBeUsedIsWarnedAndServedByTheProcessor() throws IOException {
    Run run = standIns().with("STAND_IN_INIT", 100).run(Main.class, "segment", "x.nii.gz");
    assertThat(run.exitCode()).as(run::text).isEqualTo(BAD_INPUT);
    assertThat(run.err())
        .containsOnlyOnce("warning: runs on the CPU; cuda: the driver finds no NVIDIA GPU");
  }
}
