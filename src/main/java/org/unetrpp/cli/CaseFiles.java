package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.unetrpp.files.InvalidFileException;

/**
 * The files of one case.
 *
 * @param name of the case: the file's name without its ending and channel number
 * @param folder where the files lie
 * @param files one for each channel, {@code NAME_0000.nii.gz}, {@code NAME_0001.nii.gz}, ..., or
 *     one with all of them
 */
record CaseFiles(String name, Path folder, List<Path> files) {
  private static final List<String> ENDINGS =
      List.of(".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img");
  private static final Pattern CHANNEL = Pattern.compile("(.+)_(\\d{4})");
  private static final List<String> OWN_ENDINGS = List.of("_seg", "_prob");

  CaseFiles {
    files = List.copyOf(files);
  }

  /**
   * The cases among files and folders. Of a folder every image counts but what an earlier run
   * wrote; files named with channel numbers make one case together.
   *
   * @param channels of a case
   * @throws InvalidFileException if a channel's file is missing or a folder holds no image
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
        cases.putIfAbsent(found.folder.resolve(found.name), found);
      }
    }
    return List.copyOf(cases.values());
  }

  private static CaseFiles of(Path file, int channels) throws IOException {
    Path parent = file.toAbsolutePath().getParent();
    Path folder = parent == null ? Path.of("/") : parent;
    String stem = stem(file);
    Matcher numbered = CHANNEL.matcher(stem);
    if (!numbered.matches()) {
      return new CaseFiles(stem, folder, List.of(file));
    }
    String name = numbered.group(1);
    String ending = fileName(file).substring(stem.length());
    List<Path> files = new ArrayList<>();
    for (int channel = 0; channel < channels; channel++) {
      Path sibling = folder.resolve("%s_%04d%s".formatted(name, channel, ending));
      if (!Files.exists(sibling)) {
        throw new InvalidFileException(
            sibling, "no such file; the model needs %d channels".formatted(channels));
      }
      files.add(sibling);
    }
    return new CaseFiles(name, folder, files);
  }

  private static List<Path> imagesIn(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.filter(Files::isRegularFile).filter(CaseFiles::isInput).sorted().toList();
    }
  }

  private static boolean isInput(Path file) {
    String name = fileName(file);
    String lower = name.toLowerCase(Locale.ROOT);
    boolean image = ENDINGS.stream().anyMatch(lower::endsWith);
    boolean second = lower.endsWith(".img") || lower.endsWith(".img.gz"); // of a pair
    boolean own = OWN_ENDINGS.stream().anyMatch(stem(file)::endsWith);
    return image && !second && !own && !name.startsWith(".");
  }

  /** The file's name without its ending. */
  private static String stem(Path file) {
    String name = fileName(file);
    String lower = name.toLowerCase(Locale.ROOT);
    for (String ending : ENDINGS) {
      if (lower.endsWith(ending)) {
        return name.substring(0, name.length() - ending.length());
      }
    }
    return name;
  }

  private static String fileName(Path file) {
    return String.valueOf(file.getFileName());
  }
}
