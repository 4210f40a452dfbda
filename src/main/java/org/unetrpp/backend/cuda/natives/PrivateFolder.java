package org.unetrpp.backend.cuda.natives;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** Folders that only this user can write to. */
public final class PrivateFolder {
  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
  private static final Set<PosixFilePermission> WRITABLE_BY_OTHERS =
      EnumSet.of(PosixFilePermission.GROUP_WRITE, PosixFilePermission.OTHERS_WRITE);

  private PrivateFolder() {}

  /** A fresh folder below another, or in the system's folder for temporary files. */
  static Path temporary(Optional<Path> parent) throws IOException {
    return parent.isPresent()
        ? Files.createTempDirectory(parent.get(), "unetrpp-", OWNER_ONLY)
        : Files.createTempDirectory("unetrpp-", OWNER_ONLY);
  }

  /** Deletes a folder of files. */
  static void delete(Path folder) throws IOException {
    List<Path> files;
    try (Stream<Path> listed = Files.list(folder)) {
      files = listed.toList();
    }
    for (Path file : files) {
      Files.deleteIfExists(file);
    }
    Files.deleteIfExists(folder);
  }

  /**
   * A folder that lasts, made where it is not there; none if it cannot be made or written to, or if
   * others could write to it.
   */
  public static Optional<Path> lasting(Path folder) {
    try {
      if (!Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
        Files.createDirectories(folder, OWNER_ONLY);
      }
      return Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
              && isOwnersAlone(folder)
              && Files.isWritable(folder)
          ? Optional.of(folder)
          : Optional.empty();
    } catch (IOException | UnsupportedOperationException e) {
      return Optional.empty(); // a home that cannot be written to is common on servers
    }
  }

  /** The user's folder for what can be made again: {@code ~/.cache/unetrpp} where nothing else. */
  public static Path ofCache(Map<String, String> environment, String home) {
    String configured = environment.getOrDefault("XDG_CACHE_HOME", "");
    Path caches = configured.startsWith("/") ? Path.of(configured) : Path.of(home, ".cache");
    return caches.resolve("unetrpp");
  }

  private static boolean isOwnersAlone(Path path) throws IOException {
    PosixFileAttributes attributes =
        Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    return attributes
            .owner()
            .equals(
                path.getFileSystem()
                    .getUserPrincipalLookupService()
                    .lookupPrincipalByName(System.getProperty("user.name")))
        && attributes.permissions().stream().noneMatch(WRITABLE_BY_OTHERS::contains);
  }
}
