package org.unetrpp.backend.cuda.natives;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What became of one of NVIDIA's libraries.
 *
 * @param file where it is, with symbolic links resolved; none where it was not found
 * @param version as it says itself once it is loaded, else as its file is called; none where
 *     neither tells
 * @param problem why it cannot be used, in words; none where it can
 */
public record LibraryStatus(
    CudaLibrary library, @Nullable Path file, @Nullable String version, @Nullable String problem) {
  static LibraryStatus usable(CudaLibrary library, Path file, String version) {
    return new LibraryStatus(library, file, version, null);
  }

  static LibraryStatus missing(CudaLibrary library, String problem) {
    return new LibraryStatus(library, null, null, problem);
  }

  /** Whether calls may be made. */
  public boolean isUsable() {
    return problem == null;
  }

  /** For people: {@code cuBLAS 13.0.2: /usr/lib/libcublas.so.13}, or why not. */
  @Override
  public String toString() {
    String name = version == null ? library.title() : library.title() + " " + version;
    String place = file == null ? "" : file.toString();
    if (problem == null) {
      return name + ": " + place;
    }
    return name + ": not usable: " + problem + (file == null ? "" : " (" + place + ")");
  }
}
