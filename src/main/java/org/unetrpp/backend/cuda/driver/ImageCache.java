package org.unetrpp.backend.cuda.driver;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import org.unetrpp.backend.cuda.natives.PrivateFolder;
import org.unetrpp.files.AtomicFile;

/**
 * Compiled kernel files, kept for the next start: each behind its checksum, in a folder that only
 * this user can write to. Where there is no such folder nothing is kept.
 */
final class ImageCache {
  static final String PROPERTY = "unetrpp.cuda.cache";
  static final String VARIABLE = "UNETRPP_CUDA_CACHE";

  private final Optional<Path> folder;

  ImageCache(Path folder) {
    this.folder = PrivateFolder.lasting(folder.toAbsolutePath());
  }

  /** The cache of this user: {@code ~/.cache/unetrpp/kernels}, or what is named instead. */
  static ImageCache ofUser() {
    return new ImageCache(
        folder(
            System.getProperty(PROPERTY, ""),
            System.getenv(),
            System.getProperty("user.home", ".")));
  }

  static Path folder(String named, Map<String, String> environment, String home) {
    String instead = named.isEmpty() ? environment.getOrDefault(VARIABLE, "") : named;
    return instead.isEmpty()
        ? PrivateFolder.ofCache(environment, home).resolve("kernels")
        : Path.of(instead);
  }

  /** A kept image; none if there is none, or what is there is damaged. */
  Optional<byte[]> read(String name) {
    if (folder.isEmpty()) {
      return Optional.empty();
    }
    try {
      byte[] file = Files.readAllBytes(folder.get().resolve(name));
      MessageDigest digest = sha256();
      int start = Math.min(digest.getDigestLength(), file.length);
      byte[] image = Arrays.copyOfRange(file, start, file.length);
      byte[] told = Arrays.copyOf(file, start);
      return MessageDigest.isEqual(told, digest.digest(image))
          ? Optional.of(image)
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty(); // what cannot be read is compiled, as what is not there
    }
  }

  /** Keeps an image, in place of one of the same name; a full disk only costs the next start. */
  void write(String name, byte[] image) {
    if (folder.isPresent()) {
      try {
        AtomicFile.write(
            folder.get().resolve(name),
            out -> {
              out.write(sha256().digest(image));
              out.write(image);
            });
      } catch (IOException e) {
        // Nothing is lost but time.
      }
    }
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no SHA-256, which every Java must have", e);
    }
  }
}
