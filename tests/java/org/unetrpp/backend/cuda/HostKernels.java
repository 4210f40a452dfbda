package org.unetrpp.backend.cuda;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/**
 * The files of the kernels folder, and those that only tests have, compiled by g++ for the
 * processor of this machine.
 */
final class HostKernels {
  private static final Path SOURCES = Path.of("../kernels").toAbsolutePath().normalize();
  private static final Path TEST_SOURCES = Path.of("resources/emulation").toAbsolutePath();
  private static final Path COMPILED = Path.of("target/host-kernels").toAbsolutePath();
  private static final List<String> OPTIONS =
      List.of(
          "-std=c++20",
          "-O2",
          "-march=x86-64-v3",
          "-fPIC",
          "-shared",
          "-pthread",
          "-w",
          "-fsanitize=alignment,bounds,shift,signed-integer-overflow,integer-divide-by-zero",
          "-fsanitize-undefined-trap-on-error");
  private static final Map<String, SymbolLookup> LOADED = new ConcurrentHashMap<>();

  private HostKernels() {}

  /** Whether this machine can compile and run them. */
  static boolean arePossible() {
    try {
      Process process =
          new ProcessBuilder("g++", "--version")
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor() == 0
          && System.getProperty("os.name").equals("Linux")
          && System.getProperty("os.arch").equals("amd64");
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** The library of one kernel file, compiled where the sources have changed since. */
  static SymbolLookup library(String file) {
    return LOADED.computeIfAbsent(file, HostKernels::load);
  }

  @SuppressWarnings("restricted") // loading what was compiled is what this class is for
  private static SymbolLookup load(String file) {
    try {
      return SymbolLookup.libraryLookup(compiled(file), Arena.global());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Path source(String file) {
    Path own = SOURCES.resolve(file + ".cu");
    return Files.exists(own) ? own : TEST_SOURCES.resolve(file + ".cu");
  }

  private static Path compiled(String file) throws IOException {
    Path library = COMPILED.resolve(file + "-" + fingerprint(file) + ".so");
    if (Files.exists(library)) {
      return library;
    }
    Files.createDirectories(COMPILED);
    Path fresh = Files.createTempFile(COMPILED, file, ".so");
    List<String> command = new ArrayList<>(List.of("g++"));
    command.addAll(OPTIONS);
    command.addAll(
        List.of(
            "-I" + SOURCES,
            "-include",
            SOURCES.resolve("emulation/cuda_on_host.h").toString(),
            "-x",
            "c++",
            source(file).toString(),
            "-o",
            fresh.toString()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    try {
      if (process.waitFor() != 0) {
        throw new IOException("g++ does not compile " + file + ".cu:\n" + output);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while compiling " + file + ".cu", e);
    }
    Files.move(fresh, library, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    return library;
  }

  /** Of everything that the compiled file depends on. */
  private static String fingerprint(String file) throws IOException {
    try (Stream<Path> headers = Files.list(SOURCES)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(String.join(" ", OPTIONS).getBytes(UTF_8));
      List<Path> inputs =
          new ArrayList<>(
              headers.filter(path -> path.toString().endsWith(".cuh")).sorted().toList());
      inputs.add(SOURCES.resolve("emulation/cuda_on_host.h"));
      inputs.add(source(file));
      for (Path input : inputs) {
        digest.update(Files.readAllBytes(input));
      }
      return HexFormat.of().formatHex(digest.digest(), 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
