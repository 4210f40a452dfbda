package org.unetrpp.image;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.unetrpp.files.InvalidFileException;

/** The names of the two files that a NIfTI pair or an Analyze image consists of. */
final class ImagePair {
  private static final String HEADER = ".hdr";
  private static final String IMAGE = ".img";
  private static final String GZIP = ".gz";

  private ImagePair() {}

  /** Whether a path names one file of a pair, compressed or not. */
  static boolean isPairName(Path path) {
    String name = uncompressedName(path);
    return name.endsWith(HEADER) || name.endsWith(IMAGE);
  }

  /** Whether a path names a gzip file. */
  static boolean isGzipName(Path path) {
    return path.toString().endsWith(GZIP);
  }

  /**
   * The header file of a path: the file itself, but for an .img the .hdr beside it.
   *
   * @throws InvalidFileException if there is no .hdr beside an .img
   */
  static Path headerOf(Path path) throws InvalidFileException {
    if (uncompressedName(path).endsWith(IMAGE)) {
      return findSibling(path, HEADER, "header");
    }
    return path;
  }

  /**
   * The .img file beside a .hdr file.
   *
   * @throws InvalidFileException if there is none
   */
  static Path imageOf(Path header) throws InvalidFileException {
    if (!isPairName(header)) {
      throw new InvalidFileException(
          header, "the header says that voxels are in an .img file; expected the name NAME.hdr");
    }
    return findSibling(header, IMAGE, "voxels");
  }

  /** The name of the other file of a pair, compressed as the given one is. */
  static Path headerName(Path path) {
    return sibling(path, HEADER, isGzipName(path));
  }

  /** The name of the voxels' file of a pair, compressed as the given one is. */
  static Path imageName(Path path) {
    return sibling(path, IMAGE, isGzipName(path));
  }

  private static Path findSibling(Path path, String suffix, String what)
      throws InvalidFileException {
    boolean compressed = isGzipName(path);
    List<Path> candidates =
        List.of(sibling(path, suffix, compressed), sibling(path, suffix, !compressed));
    for (Path candidate : candidates) {
      if (Files.exists(candidate)) {
        return candidate;
      }
    }
    throw new InvalidFileException(
        path,
        "its %s should be in %s or %s, and neither exists"
            .formatted(
                what, candidates.getFirst().getFileName(), candidates.getLast().getFileName()));
  }

  private static Path sibling(Path path, String suffix, boolean compressed) {
    String name = uncompressedName(path);
    String stem = name.substring(0, name.length() - suffix.length());
    return path.resolveSibling(stem + suffix + (compressed ? GZIP : ""));
  }

  private static String uncompressedName(Path path) {
    Path fileName = path.getFileName();
    String name = fileName == null ? "" : fileName.toString();
    return name.endsWith(GZIP) ? name.substring(0, name.length() - GZIP.length()) : name;
  }
}
