package org.unetrpp.backend.cuda.natives;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The folders where NVIDIA's libraries may be, in the order in which they are asked:
 *
 * <ol>
 *   <li>those that the user names by the property {@code unetrpp.cuda.path} or the environment
 *       variable {@code UNETRPP_CUDA_PATH},
 *   <li>those of the system's loader: {@code LD_LIBRARY_PATH}, its cache, its own folders,
 *   <li>those where drivers are put in containers and in WSL,
 *   <li>those of the CUDA toolkit,
 *   <li>those of Python's packages, of virtual environments before those of the system.
 * </ol>
 */
final class SearchPath {
  static final String PROPERTY = "unetrpp.cuda.path";
  static final String VARIABLE = "UNETRPP_CUDA_PATH";

  private static final List<String> OF_LOADER =
      List.of("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64");
  private static final List<String> OF_DRIVER =
      List.of("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib");
  private static final List<String> IN_TOOLKIT = List.of("lib64", "lib");
  private static final List<String> IN_PACKAGES =
      List.of("nvidia/cu13/lib", "nvidia/cublas/lib", "nvidia/cuda_nvrtc/lib", "nvidia/cudnn/lib");
  private static final Pattern NUMBER = Pattern.compile("\\d+");

  private final Path root;
  private final Map<String, String> environment;
  private final String home;
  private final String named;

  /**
   * A machine.
   *
   * @param root of its files
   * @param home the user's folder
   * @param named folders that the user names, apart from those of the environment
   */
  SearchPath(Path root, Map<String, String> environment, String home, String named) {
    this.root = root;
    this.environment = environment;
    this.home = home;
    this.named = named;
  }

  static SearchPath ofThisMachine() {
    return new SearchPath(
        Path.of("/"),
        System.getenv(),
        System.getProperty("user.home", "/"),
        System.getProperty(PROPERTY, ""));
  }

  /** The folders that the user names, the property's before the variable's. */
  List<Path> named() {
    return existing(
        Stream.concat(paths(named), paths(environment.getOrDefault(VARIABLE, ""))).toList());
  }

  /** All folders that there are, each once. */
  List<Path> folders() {
    List<Path> all = new ArrayList<>(named());
    all.addAll(paths(environment.getOrDefault("LD_LIBRARY_PATH", "")).toList());
    all.addAll(ofLoaderCache());
    OF_LOADER.forEach(folder -> all.add(under(folder)));
    OF_DRIVER.forEach(folder -> all.add(under(folder)));
    for (Path toolkit : toolkits()) {
      IN_TOOLKIT.forEach(folder -> all.add(toolkit.resolve(folder)));
    }
    for (Path installation : pythons()) {
      all.add(installation.resolve("lib")); // Conda puts libraries there
      for (Path packages : packagesOf(installation)) {
        IN_PACKAGES.forEach(folder -> all.add(packages.resolve(folder)));
      }
    }
    return existing(all);
  }

  private Path under(String folder) {
    return root.resolve(folder.substring(1));
  }

  private static Stream<Path> paths(String list) {
    return Arrays.stream(list.split(":", -1)).flatMap(SearchPath::path);
  }

  private static Stream<Path> path(String text) {
    try {
      Path path = Path.of(text);
      return path.isAbsolute() ? Stream.of(path) : Stream.empty();
    } catch (InvalidPathException e) {
      return Stream.empty();
    }
  }

  private Collection<Path> ofLoaderCache() {
    Set<Path> folders = new LinkedHashSet<>();
    try {
      byte[] cache = Files.readAllBytes(under("/etc/ld.so.cache"));
      for (Path file : LoaderCache.files(cache, SearchPath::isWanted)) {
        folders.add(file.resolveSibling(""));
      }
    } catch (IOException e) {
      // A system without a cache has its libraries elsewhere.
    }
    return folders;
  }

  private static boolean isWanted(String name) {
    return name.equals("libcuda.so.1") || name.matches("lib(nvrtc|cublas|cudnn)\\.so\\.\\d+");
  }

  private List<Path> toolkits() {
    List<Path> toolkits = new ArrayList<>();
    for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
      path(environment.getOrDefault(variable, "")).forEach(toolkits::add);
    }
    toolkits.add(under("/usr/local/cuda"));
    toolkits.addAll(newestFirst(under("/usr/local"), "cuda-*"));
    toolkits.add(under("/opt/cuda"));
    return toolkits;
  }

  /** Folders that hold an installation of Python. */
  private Collection<Path> pythons() {
    Set<Path> installations = new LinkedHashSet<>();
    for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
      path(environment.getOrDefault(variable, "")).forEach(installations::add);
    }
    paths(environment.getOrDefault("PATH", ""))
        .filter(folder -> Files.exists(folder.resolve("python3")))
        .forEach(folder -> installations.add(folder.resolveSibling("")));
    path(home).forEach(folder -> installations.add(folder.resolve(".local")));
    for (String folder : List.of("/opt/conda", "/opt/venv", "/usr/local", "/usr")) {
      installations.add(under(folder));
    }
    return installations;
  }

  private static List<Path> packagesOf(Path installation) {
    List<Path> folders = new ArrayList<>();
    for (String library : List.of("lib", "lib64")) {
      for (Path python : newestFirst(installation.resolve(library), "python3*")) {
        folders.add(python.resolve("site-packages"));
        folders.add(python.resolve("dist-packages"));
      }
    }
    return folders;
  }

  private static List<Path> newestFirst(Path folder, String names) {
    List<Path> found = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> listed = Files.newDirectoryStream(folder, names)) {
        listed.forEach(found::add);
      } catch (IOException e) {
        return List.of(); // what cannot be listed cannot be loaded either
      }
    }
    found.sort(Comparator.comparing((Path path) -> versionKey(path)).reversed());
    return found;
  }

  /** The numbers of a name, in a form whose alphabetical order is theirs. */
  private static String versionKey(Path path) {
    StringBuilder key = new StringBuilder();
    Matcher numbers = NUMBER.matcher(String.valueOf(path.getFileName()));
    while (numbers.find()) {
      key.append("%12s".formatted(numbers.group()));
    }
    return key.toString();
  }

  private static List<Path> existing(List<Path> folders) {
    Map<Path, Path> byRealPath = new LinkedHashMap<>();
    for (Path folder : folders) {
      try {
        if (Files.isDirectory(folder)) {
          byRealPath.putIfAbsent(folder.toRealPath(), folder);
        }
      } catch (IOException e) {
        // A folder that went away meanwhile.
      }
    }
    return List.copyOf(byRealPath.values());
  }
}
