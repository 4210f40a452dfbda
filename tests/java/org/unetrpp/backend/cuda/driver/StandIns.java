package org.unetrpp.backend.cuda.driver;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.unetrpp.testing.TestResources;

/** Libraries in place of NVIDIA's, compiled from {@code resources/cuda-stand-ins}, in a folder. */
final class StandIns {
  private final Path folder;
  private final Map<String, String> environment = new HashMap<>();
  private final List<String> properties = new ArrayList<>();
  private final List<Path> classPath = new ArrayList<>();

  /** What another Java process with these libraries did. */
  record Run(int exitCode, List<String> out, List<String> err) {
    String text() {
      return "exit code %d%n%s%n%s".formatted(exitCode, join(out), join(err));
    }

    private static String join(List<String> lines) {
      return String.join("\n", lines);
    }
  }

  StandIns(Path folder) {
    this.folder = folder;
  }

  /** Sets what the stand-ins look at, as in {@code STAND_IN_CAPABILITY}. */
  StandIns with(String variable, long value) {
    environment.put(variable, Long.toString(value));
    return this;
  }

  StandIns property(String name, Object value) {
    properties.add("-D%s=%s".formatted(name, value));
    return this;
  }

  /** Adds a folder of resources. */
  StandIns resources(Path resources) {
    classPath.add(resources);
    return this;
  }

  StandIns driver() throws IOException {
    return compile("driver.c", "libcuda.so.1", "libcuda.so.580.12");
  }

  StandIns nvrtc(int major) throws IOException {
    return compile("nvrtc.c", "libnvrtc.so." + major, "libnvrtc.so." + major, "-DMAJOR=" + major);
  }

  /** With the library that it needs. */
  StandIns cublas(int major) throws IOException {
    String light = "libcublasLt.so." + major;
    compile("cublas_lt.c", light, light);
    return compile(
        "cublas.c",
        "libcublas.so." + major,
        "libcublas.so." + major,
        "-DMAJOR=" + major,
        folder.resolve(light).toString());
  }

  /** For a CUDA of a version such as 13000. */
  StandIns cudnn(int major, int cuda) throws IOException {
    return compile(
        "cudnn.c",
        "libcudnn.so." + major,
        "libcudnn.so." + major,
        "-DVERSION=" + (major == 8 ? 8907 : 91002),
        "-DCUDART=" + cuda);
  }

  private StandIns compile(String source, String soname, String file, String... options)
      throws IOException {
    Path versions = Files.writeString(folder.resolve(soname + ".map"), soname + " { global: *; };");
    List<String> command =
        new ArrayList<>(List.of("g++", "-x", "c", "-w", "-shared", "-fPIC", "-pthread"));
    command.add(TestResources.path("cuda-stand-ins/" + source).toString());
    command.addAll(List.of("-x", "none", "-Wl,-soname," + soname));
    if (!source.equals("driver.c")) { // the real driver has no versions of names
      command.add("-Wl,--version-script," + versions);
    }
    command.addAll(List.of(options));
    command.addAll(List.of("-o", folder.resolve(file).toString()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    if (await(process) != 0) {
      throw new IOException("g++ does not compile " + source + ":\n" + output);
    }
    if (!file.equals(soname)) {
      Files.createSymbolicLink(folder.resolve(soname), folder.resolve(file));
    }
    return this;
  }

  /** What this machine may have of the real ones must not meet a driver that stands in. */
  private void hideRealLibraries() throws IOException {
    int cuda = has("libnvrtc.so.12") || has("libcublas.so.12") ? 12 : 13;
    for (String name : List.of("libnvrtc.so." + cuda, "libcublas.so." + cuda, "libcudnn.so.9")) {
      if (!has(name) && !(name.startsWith("libcudnn") && has("libcudnn.so.8"))) {
        Files.writeString(folder.resolve(name), "no library");
      }
    }
  }

  private boolean has(String name) {
    return Files.exists(folder.resolve(name));
  }

  /** Runs a class in a process of its own, which sees these libraries before all others. */
  Run run(Class<?> main, String... arguments) throws IOException {
    hideRealLibraries();
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-ea",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "-Dunetrpp.cuda.path=" + folder));
    command.addAll(properties);
    List<String> entries = new ArrayList<>(classPath.stream().map(Path::toString).toList());
    entries.add(System.getProperty("java.class.path"));
    command.addAll(List.of("-cp", String.join(File.pathSeparator, entries), main.getName()));
    command.addAll(List.of(arguments));
    Path out = folder.resolve("out.txt");
    Path err = folder.resolve("err.txt");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().putAll(environment);
    int exitCode = await(builder.start());
    return new Run(exitCode, Files.readAllLines(out), Files.readAllLines(err));
  }

  private static int await(Process process) throws IOException {
    try {
      return process.waitFor();
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }
}
