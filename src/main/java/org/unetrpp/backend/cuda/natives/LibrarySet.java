package org.unetrpp.backend.cuda.natives;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The files of NVRTC, cuBLAS and cuDNN that go with one major version of CUDA.
 *
 * @param cudaMajor that version
 * @param files by library, as the loader finds them
 */
record LibrarySet(int cudaMajor, Map<CudaLibrary, Found> files) {
  /** Those that JCuda's native parts work with, the best first. */
  static final List<Integer> CUDA_MAJORS = List.of(13, 12);

  private static final List<CudaLibrary> CHOSEN =
      List.of(CudaLibrary.NVRTC, CudaLibrary.CUBLAS, CudaLibrary.CUDNN);
  private static final Pattern VERSION_OF_FILE = Pattern.compile("\\.so\\.(\\d+(?:\\.\\d+)+)$");

  /**
   * A file.
   *
   * @param major version of the library
   */
  record Found(Path file, int major) {
    /** With symbolic links resolved, where that is possible. */
    Path realFile() {
      try {
        return file.toRealPath();
      } catch (IOException e) {
        return file;
      }
    }

    /** The version that the file's name ends in, as 13.0.2.14 in {@code libcublas.so.13.0.2.14}. */
    Optional<String> versionOfName() {
      Matcher version = VERSION_OF_FILE.matcher(realFile().toString());
      return version.find() ? Optional.of(version.group(1)) : Optional.empty();
    }
  }

  /**
   * The set that has most of the libraries, of the newest CUDA among equals; libraries in folders
   * that the user names count before all others.
   *
   * @param newest major version of CUDA that the driver can run
   */
  static LibrarySet choose(List<Path> named, List<Path> folders, int newest) {
    LibrarySet best = new LibrarySet(Math.min(newest, CUDA_MAJORS.getFirst()), Map.of());
    long bestScore = 0;
    for (int cudaMajor : CUDA_MAJORS) {
      if (cudaMajor > newest) {
        continue;
      }
      LibrarySet set = of(cudaMajor, folders);
      long score = set.files.size() + (CHOSEN.size() + 1L) * of(cudaMajor, named).files.size();
      if (score > bestScore) {
        best = set;
        bestScore = score;
      }
    }
    return best;
  }

  private static LibrarySet of(int cudaMajor, List<Path> folders) {
    Map<CudaLibrary, Found> files = new EnumMap<>(CudaLibrary.class);
    for (CudaLibrary library : CHOSEN) {
      find(library, library.majors(cudaMajor), folders)
          .ifPresent(found -> files.put(library, found));
    }
    return new LibrarySet(cudaMajor, files);
  }

  /** The file of the best version in the first folder that has any. */
  static Optional<Found> find(CudaLibrary library, int[] majors, Collection<Path> folders) {
    for (Path folder : folders) {
      for (int major : majors) {
        Path file = folder.resolve(library.soname(major));
        if (Files.isReadable(file)) {
          return Optional.of(new Found(file, major));
        }
      }
    }
    return Optional.empty();
  }
}
