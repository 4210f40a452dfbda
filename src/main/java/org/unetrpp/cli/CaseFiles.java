package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.unetrpp.files.InvalidFileException;

/**
 * The files of one case.
 *
 * @param name of the case: the file's name without its ending and channel number
 * @param folder where the files lie
 * @param files one for each channel, {@code NAME_0000.nii.gz}, {@code NAME_0001.nii.gz}, ..., or
 *     one with all of them; they need not exist
 */
record CaseFiles(String name, Path folder, List<Path> files) {
  private static final Pattern IMAGE_NAME =
      Pattern.compile("(?<stem>.+)(?<ending>\\.(nii|hdr|img)(\\.gz)?)", Pattern.CASE_INSENSITIVE);
  private static final Pattern CHANNEL = Pattern.compile("(?<name>.+)_(?<channel>\\d{4})");
  private static final Pattern OWN_RESULT = Pattern.compile(".+_(seg|prob)");

  CaseFiles {
    files = List.copyOf(files);
  }

  /**
   * The cases among files and folders. Of a folder every image counts but what an earlier run
   * wrote; files named with channel numbers make one case together.
   *
   * @param channels of a case
   * @throws InvalidFileException if a folder holds no image, two images have one name, or a case
   *     has more channels
   */
  static List<CaseFiles> find(List<Path> inputs, int channels) throws IOException {
    Map<Path, CaseFiles> cases = new LinkedHashMap<>();
    for (Path input : inputs) {
      List<Path> files = Files.isDirectory(input) ? imagesIn(input) : List.of(input);
      if (files.isEmpty()) {
        throw new InvalidFileException(input, "holds no NIfTI image (.nii, .nii.gz, .hdr)");
      }
      for (Path file : files) {
        CaseFiles found = of(file, channels);
        CaseFiles same = cases.putIfAbsent(found.folder.resolve(found.name), found);
        if (same != null && !same.isOf(found)) {
          throw new InvalidFileException(
              file, "names the same case as " + same.files.getFirst().getFileName());
        }
      }
    }
    return List.copyOf(cases.values());
  }

  /** Whether a path has the name of an image file. */
  static boolean isImageName(Path file) {
    return IMAGE_NAME.matcher(fileName(file)).matches();
  }

  private static CaseFiles of(Path file, int channels) throws InvalidFileException {
    Path parent = file.toAbsolutePath().normalize().getParent();
    Path folder = parent == null ? Path.of("/") : parent;
    String stem = stem(file);
    String ending = fileName(file).substring(stem.length());
    Matcher numbered = CHANNEL.matcher(stem);
    if (!numbered.matches()) {
      return new CaseFiles(stem, folder, List.of(file));
    }
    String name = numbered.group("name");
    if (Integer.parseInt(numbered.group("channel")) >= channels) {
      // A number such as a year, unless it continues the numbers of a case.
      if (Files.exists(folder.resolve(name + "_0000" + ending))) {
        throw new InvalidFileException(
            file,
            "one more channel than the model takes (%d: %s_0000 to %s_%04d)"
                .formatted(channels, name, name, channels - 1));
      }
      return new CaseFiles(stem, folder, List.of(file));
    }
    Path named = file.getParent();
    List<Path> files =
        IntStream.range(0, channels)
            .mapToObj(channel -> "%s_%04d%s".formatted(name, channel, ending))
            .map(sibling -> named == null ? Path.of(sibling) : named.resolve(sibling))
            .toList();
    return new CaseFiles(name, folder, files);
  }

  /** Whether another case is of the same files; the two of a pair are one image. */
  private boolean isOf(CaseFiles other) {
    return keys().equals(other.keys());
  }

  private List<String> keys() {
    return files.stream()
        .map(file -> fileName(file).toLowerCase(Locale.ROOT).replaceFirst("\\.img", ".hdr"))
        .toList();
  }

  /** The images of a folder but what an earlier run wrote. */
  static List<Path> imagesIn(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.filter(Files::isRegularFile).filter(CaseFiles::isInput).sorted().toList();
    }
  }

  private static boolean isInput(Path file) {
    return isImage(file) && !OWN_RESULT.matcher(stem(file)).matches();
  }

  /** Whether a file of a folder is an image; of the two files of a pair the header is. */
  static boolean isImage(Path file) {
    String name = fileName(file);
    boolean second = name.matches("(?i).+\\.img(\\.gz)?"); // of a pair
    return isImageName(file) && !second && !name.startsWith(".");
  }

  /** The file's name without its ending. */
  static String stem(Path file) {
    Matcher image = IMAGE_NAME.matcher(fileName(file));
    return image.matches() ? image.group("stem") : fileName(file);
  }

  private static String fileName(Path file) {
    return String.valueOf(file.getFileName());
  }
}
