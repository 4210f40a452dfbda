package org.unetrpp.backend.cuda.natives;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.natives.LibrarySet.Found;

/**
 * NVIDIA's libraries on this machine. Each is looked for and loaded on first use, once for the life
 * of the process; what cannot be used is told in words, never thrown. A class of JCuda's may be
 * touched only after {@link #use} has said that its library is usable.
 */
public final class CudaLibraries {
  private static final int OLDEST_DRIVER = 12_000;
  private static final String HINT =
      "set %s to the folder that has it".formatted(SearchPath.VARIABLE);

  /** Where libraries are found missing by the loader, the last line with this says which. */
  private static final Pattern LOADERS_WORDS =
      Pattern.compile("(?:Caused by: )?java\\.lang\\.UnsatisfiedLinkError: (.+)");

  private static final Pattern RELEASE_OF_DRIVER = Pattern.compile("\\.so\\.(\\d{3,}\\.[\\d.]+)$");

  private final SearchPath path;
  private final boolean platformSupported;
  private final Map<CudaLibrary, LibraryStatus> known = new EnumMap<>(CudaLibrary.class);
  private @Nullable LibrarySet chosen;

  /** Those of this process. */
  private static final class ThisProcess {
    static final CudaLibraries LIBRARIES =
        new CudaLibraries(SearchPath.ofThisMachine(), isPlatformSupported());
  }

  CudaLibraries(SearchPath path, boolean platformSupported) {
    this.path = path;
    this.platformSupported = platformSupported;
  }

  public static CudaLibraries ofThisProcess() {
    return ThisProcess.LIBRARIES;
  }

  private static boolean isPlatformSupported() {
    return System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("linux")
        && System.getProperty("os.arch").equals("amd64");
  }

  /** Loads a library, if that has not been tried before. */
  public synchronized LibraryStatus use(CudaLibrary library) {
    LibraryStatus status = known.get(library);
    if (status == null) {
      status = find(library);
      known.put(library, status);
    }
    return status;
  }

  /** Loads all libraries. */
  public synchronized List<LibraryStatus> useAll() {
    return Stream.of(CudaLibrary.values()).map(this::use).toList();
  }

  private LibraryStatus find(CudaLibrary library) {
    if (!platformSupported) {
      return LibraryStatus.missing(library, "GPUs are used on Linux on x86-64 only");
    }
    return library == CudaLibrary.DRIVER ? findDriver() : findLibrary(library);
  }

  /** The first that loads: before it may lie one for another kind of machine. */
  private LibraryStatus findDriver() {
    CudaLibrary driver = CudaLibrary.DRIVER;
    LibraryStatus failed = null;
    for (Path folder : path.folders()) {
      Optional<Found> found = LibrarySet.find(driver, driver.majors(0), List.of(folder));
      if (found.isPresent()) {
        LibraryStatus status = attempt(driver, found.get(), this::problemOfDriver);
        if (status.isUsable()) {
          return status;
        }
        failed = failed == null ? status : failed;
      }
    }
    return failed == null
        ? LibraryStatus.missing(
            driver, "no NVIDIA driver: %s was not found".formatted(driver.soname(1)))
        : failed;
  }

  private Optional<String> problemOfDriver() {
    int version = LibraryCalls.driverVersion();
    if (version < OLDEST_DRIVER) {
      return Optional.of(
          "the driver is for CUDA %s, 12.0 or later is needed: install a newer driver"
              .formatted(LibraryCalls.cudaVersion(version)));
    }
    return LibraryCalls.startDriver();
  }

  private LibraryStatus findLibrary(CudaLibrary library) {
    LibraryStatus driver = use(CudaLibrary.DRIVER);
    LibrarySet set = chosenFor(driver);
    Found found = set.files().get(library);
    if (found == null) {
      return LibraryStatus.missing(
          library, "%s was not found; %s".formatted(names(library, set), HINT));
    }
    if (!driver.isUsable()) {
      return new LibraryStatus(
          library,
          found.realFile(),
          found.versionOfName().orElse(null),
          "not loaded, as there is no usable NVIDIA driver");
    }
    return attempt(library, found, () -> problemOfLibrary(library, set.cudaMajor()));
  }

  private LibrarySet chosenFor(LibraryStatus driver) {
    LibrarySet set = chosen;
    if (set == null) {
      int newest =
          driver.isUsable()
              ? LibraryCalls.driverVersion() / 1000
              : LibrarySet.CUDA_MAJORS.getFirst();
      set = LibrarySet.choose(path.named(), path.folders(), newest);
      chosen = set;
    }
    return set;
  }

  private static Optional<String> problemOfLibrary(CudaLibrary library, int cudaMajor) {
    if (library == CudaLibrary.CUDNN && LibraryCalls.cudaMajorOfCudnn() != cudaMajor) {
      return Optional.of(
          "it is made for CUDA %d and the other libraries found are of CUDA %d"
              .formatted(LibraryCalls.cudaMajorOfCudnn(), cudaMajor));
    }
    return Optional.empty();
  }

  /** The names that a library can have, as in {@code libcudnn.so.9 or libcudnn.so.8}. */
  private static String names(CudaLibrary library, LibrarySet set) {
    List<Integer> cudaMajors =
        set.files().isEmpty() ? LibrarySet.CUDA_MAJORS : List.of(set.cudaMajor());
    List<String> names =
        cudaMajors.stream()
            .flatMapToInt(major -> Arrays.stream(library.majors(major)))
            .distinct()
            .mapToObj(library::soname)
            .toList();
    return String.join(" or ", names);
  }

  /** Tells of the problem of a library that is loaded. */
  private interface Check {
    Optional<String> problem();
  }

  /** Loads what was found: the only place where something that cannot be linked shows. */
  private static LibraryStatus attempt(CudaLibrary library, Found found, Check check) {
    String version = found.versionOfName().orElse(null);
    String problem;
    try {
      loadCompanions(library, found);
      load(found.file());
      Bindings.initialize(library, found.major());
      version = version(library, found);
      problem = check.problem().orElse(null);
    } catch (LinkageError e) {
      problem = "it does not load: " + reason(e);
    } catch (IOException | IllegalArgumentException e) {
      problem = "JCuda's part for it cannot be set up: " + e.getMessage();
    }
    return new LibraryStatus(library, found.realFile(), version, problem);
  }

  private static String version(CudaLibrary library, Found found) {
    String version = LibraryCalls.version(library);
    if (library != CudaLibrary.DRIVER) {
      return version;
    }
    Matcher release = RELEASE_OF_DRIVER.matcher(found.realFile().toString());
    return release.find()
        ? "%s for CUDA %s".formatted(release.group(1), version)
        : "for CUDA " + version;
  }

  /** Libraries that a library asks the loader for by name: it finds them if they are there. */
  private static void loadCompanions(CudaLibrary library, Found found) throws IOException {
    String pattern =
        switch (library) {
          case DRIVER, CUDNN -> "";
          case NVRTC -> "libnvrtc-builtins.so.%d*".formatted(found.major());
          case CUBLAS -> "libcublasLt.so." + found.major();
        };
    if (!pattern.isEmpty()) {
      try (DirectoryStream<Path> companions =
          Files.newDirectoryStream(found.file().resolveSibling(""), pattern)) {
        for (Path companion : companions) {
          load(companion);
        }
      }
    }
  }

  /** Java prints warnings of its own when it is given anything else. */
  @SuppressWarnings("restricted") // loading NVIDIA's libraries is what this class is for
  private static void load(Path file) throws IOException {
    if (!ElfLibrary.isForThisProcessor(file)) {
      throw new UnsatisfiedLinkError(file + ": no library for Linux on x86-64");
    }
    System.load(file.toAbsolutePath().toString());
  }

  /** The loader's words; JCuda wraps them in the stack traces of two attempts. */
  static String reason(LinkageError error) {
    String message = String.valueOf(error.getMessage());
    String reason = message.lines().findFirst().orElse(message);
    for (String line : message.lines().toList()) {
      Matcher words = LOADERS_WORDS.matcher(line.strip());
      if (words.matches()) {
        reason = words.group(1);
      }
    }
    if (error instanceof NoClassDefFoundError) {
      reason = "class %s is missing".formatted(reason);
    }
    return reason.contains("failed to map segment")
        ? reason + "; set -Djava.io.tmpdir to a folder from which programs may run"
        : reason;
  }
}
