package org.unetrpp.backend.cpu;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.jar.JarEntry;
import org.jspecify.annotations.Nullable;

/**
 * Finds oneDNN and its OpenMP runtime on the class path and loads them. The files are unpacked once
 * into a folder of the user's cache that only the user can write, under a name that holds their
 * checksum; where there is no such folder, into a private temporary one.
 */
final class NativeLibrary {
  private static final Set<PosixFilePermission> PRIVATE =
      PosixFilePermissions.fromString("rwx------");
  private static final Set<PosixFilePermission> WRITABLE_BY_OTHERS =
      EnumSet.of(PosixFilePermission.GROUP_WRITE, PosixFilePermission.OTHERS_WRITE);

  private NativeLibrary() {}

  /**
   * The files of one platform in the jar.
   *
   * @param name of the platform, as the jar's classifier has it
   * @param openMp file of the OpenMP runtime, or the system's own library where none is packed
   * @param openMpPacked whether the jar holds the OpenMP runtime
   * @param oneDnn file of oneDNN
   */
  private record Platform(String name, String openMp, boolean openMpPacked, String oneDnn) {
    static Platform running() {
      String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
      String machine = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
      boolean arm = machine.equals("aarch64");
      if (system.contains("linux")) {
        return new Platform(
            arm ? "linux-arm64" : "linux-x86_64", "libgomp.so.1", true, "libdnnl.so.3");
      }
      if (system.contains("mac")) {
        return new Platform(
            arm ? "macosx-arm64" : "macosx-x86_64", "libomp.dylib", true, "libdnnl.3.dylib");
      }
      return new Platform("windows-x86_64", "vcomp140.dll", false, "dnnl.dll");
    }

    String resource(String file) {
      return "org/bytedeco/dnnl/" + name + "/" + file;
    }

    List<String> packed() {
      return openMpPacked ? List.of(openMp, oneDnn) : List.of(oneDnn);
    }
  }

  /**
   * Loads both libraries, once for the life of the process.
   *
   * @return the functions of both
   * @throws UnsatisfiedLinkError if one is missing or cannot be loaded; the message says what to
   *     install
   */
  static SymbolLookup load() {
    Platform platform = Platform.running();
    try {
      return load(platform);
    } catch (IOException | UncheckedIOException | IllegalArgumentException e) {
      UnsatisfiedLinkError error =
          new UnsatisfiedLinkError(
              ("cannot load oneDNN for %s: %s. It needs the jar org.bytedeco:dnnl:%s on the class"
                      + " path, a cache or temporary folder to unpack it to, and the C++ runtime"
                      + " of the system (libstdc++ on Linux)")
                  .formatted(platform.name(), e.getMessage(), platform.name()));
      error.initCause(e);
      throw error;
    }
  }

  private static SymbolLookup load(Platform platform) throws IOException {
    List<Path> files = unpack(userCache(), platform);
    return files == null ? loadFromTemporaryFolder(platform) : lookup(platform, files);
  }

  /**
   * Unpacks the running platform's files below a cache folder, unless they are there.
   *
   * @return the files, or none if this user alone cannot be trusted to have written them
   */
  static @Nullable List<Path> unpack(Path userCache) throws IOException {
    return unpack(userCache, Platform.running());
  }

  private static @Nullable List<Path> unpack(Path userCache, Platform platform) throws IOException {
    Path cache = privateFolder(userCache.toAbsolutePath().resolve("unetrpp"));
    if (cache == null) {
      return null;
    }
    List<Path> files = new ArrayList<>();
    for (String file : platform.packed()) {
      Path cached = cached(cache, platform, file);
      if (cached == null) {
        return null;
      }
      files.add(cached);
    }
    return files;
  }

  private static SymbolLookup loadFromTemporaryFolder(Platform platform) throws IOException {
    Path folder = Files.createTempDirectory("unetrpp-");
    List<Path> files = new ArrayList<>();
    try {
      for (String file : platform.packed()) {
        Path target = folder.resolve(file);
        files.add(target);
        try (InputStream in = resource(platform, file).openStream()) {
          Files.copy(in, target);
        }
      }
      return lookup(platform, files);
    } finally {
      deleteWhereAllowed(folder, files);
    }
  }

  /** A loaded library's file can be deleted at once, except on Windows, where it goes at exit. */
  private static void deleteWhereAllowed(Path folder, List<Path> files) throws IOException {
    if (isPosix(folder)) {
      for (Path file : files) {
        Files.deleteIfExists(file);
      }
      Files.delete(folder);
    } else {
      folder.toFile().deleteOnExit(); // the first registered goes last
      files.forEach(file -> file.toFile().deleteOnExit());
    }
  }

  /**
   * The OpenMP runtime goes first: oneDNN then finds it under its name. Functions are looked up
   * through oneDNN, which also finds those of the runtime that it is bound to.
   */
  @SuppressWarnings("restricted") // loading native code is what this method is for
  private static SymbolLookup lookup(Platform platform, List<Path> files) {
    Arena process = Arena.global();
    SymbolLookup openMp =
        platform.openMpPacked()
            ? SymbolLookup.libraryLookup(files.getFirst(), process)
            : SymbolLookup.libraryLookup(platform.openMp(), process);
    return SymbolLookup.libraryLookup(files.getLast(), process).or(openMp);
  }

  private static URL resource(Platform platform, String file) throws IOException {
    String name = platform.resource(file);
    URL url = NativeLibrary.class.getClassLoader().getResource(name);
    if (url == null) {
      throw new IOException(name + " is not on the class path");
    }
    return url;
  }

  /**
   * The unpacked file in the cache, written if it is not there; none if the class path does not say
   * its checksum or the file in the cache is not the user's own.
   */
  private static @Nullable Path cached(Path cache, Platform platform, String file)
      throws IOException {
    if (!(resource(platform, file).openConnection() instanceof JarURLConnection connection)) {
      return null;
    }
    connection.setUseCaches(false);
    try (var jar = connection.getJarFile()) {
      JarEntry entry = connection.getJarEntry();
      if (entry.getCrc() < 0 || entry.getSize() < 0) {
        return null;
      }
      String version = "%s-%08x-%d".formatted(platform.name(), entry.getCrc(), entry.getSize());
      Path folder = privateFolder(cache.resolve(version));
      if (folder == null) {
        return null;
      }
      Path target = folder.resolve(file);
      if (!isUnpacked(target, entry)) {
        try (InputStream in = jar.getInputStream(entry)) {
          write(in, folder, target);
        }
      }
      return isUnpacked(target, entry) ? target : null;
    }
  }

  private static boolean isUnpacked(Path file, JarEntry entry) throws IOException {
    return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
        && isOwnersAlone(file)
        && Files.size(file) == entry.getSize();
  }

  private static void write(InputStream in, Path folder, Path target) throws IOException {
    Path partial = Files.createTempFile(folder, "unpacking-", null);
    try {
      Files.copy(in, partial, StandardCopyOption.REPLACE_EXISTING);
      if (isPosix(partial)) {
        Files.setPosixFilePermissions(partial, PRIVATE);
      }
      Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  private static Path userCache() {
    String configured = System.getenv("XDG_CACHE_HOME");
    if (configured == null) {
      configured = System.getenv("LOCALAPPDATA");
    }
    if (configured != null && !configured.isEmpty()) {
      return Path.of(configured);
    }
    return Path.of(System.getProperty("user.home"), ".cache");
  }

  /** The folder, made if need be; none if others can write to it or the user cannot. */
  private static @Nullable Path privateFolder(Path folder) {
    try {
      if (!Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
        if (isPosix(folder)) {
          Files.createDirectories(folder, PosixFilePermissions.asFileAttribute(PRIVATE));
        } else {
          Files.createDirectories(folder);
        }
      }
      return Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
              && isOwnersAlone(folder)
              && Files.isWritable(folder)
          ? folder
          : null;
    } catch (IOException e) {
      return null; // a home that cannot be written to is common on servers
    }
  }

  /** Whether the file belongs to the user and nobody else may write to it. */
  private static boolean isOwnersAlone(Path path) throws IOException {
    if (!isPosix(path)) {
      return Files.getOwner(path, LinkOption.NOFOLLOW_LINKS)
          .equals(Files.getOwner(Path.of(System.getProperty("user.home"))));
    }
    PosixFileAttributes attributes =
        Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    return attributes.owner().equals(currentUser(path))
        && attributes.permissions().stream().noneMatch(WRITABLE_BY_OTHERS::contains);
  }

  private static UserPrincipal currentUser(Path near) throws IOException {
    return near.getFileSystem()
        .getUserPrincipalLookupService()
        .lookupPrincipalByName(System.getProperty("user.name"));
  }

  private static boolean isPosix(Path path) {
    return path.getFileSystem().equals(FileSystems.getDefault())
        && path.getFileSystem().supportedFileAttributeViews().contains("posix");
  }
}
