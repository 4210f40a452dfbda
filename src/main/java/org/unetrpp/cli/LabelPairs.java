package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.unetrpp.dataset.LabelName;
import org.unetrpp.files.InvalidFileException;

/**
 * Predictions and references of the same cases.
 *
 * @param pairs in the order of the cases' names
 * @param alone what is wrong with each file that has no partner
 */
record LabelPairs(List<LabelPair> pairs, List<InvalidFileException> alone) {
  private static final String RESULT = "_seg";
  private static final String PROBABILITIES = "_prob";

  LabelPairs {
    pairs = List.copyOf(pairs);
    alone = List.copyOf(alone);
  }

  /**
   * Pairs files by the name of their case, which is the file's name without its ending and {@code
   * _seg}. Two files are a pair whatever their names; of a folder, what is not asked for by a file
   * on the other side does not matter.
   *
   * @throws NoSuchFileException if a path does not exist
   * @throws InvalidFileException if a folder holds no image or two of one case
   */
  static LabelPairs find(Path predictions, Path references) throws IOException {
    boolean manyTested = Files.isDirectory(predictions);
    boolean manyExpected = Files.isDirectory(references);
    if (!manyTested && !manyExpected) {
      requireExists(predictions);
      requireExists(references);
      LabelPair pair = new LabelPair(caseName(references), predictions, references);
      return new LabelPairs(List.of(pair), List.of());
    }
    Map<String, Path> tested = files(predictions);
    Map<String, Path> expected = new TreeMap<>();
    files(references)
        .forEach((name, path) ->
            expected.putIfAbsent(LabelName.caseOf(name, tested::containsKey).orElse(name), path));
    if (!manyTested) {
      expected.keySet().retainAll(tested.keySet());
    }
    if (!manyExpected) {
      tested.keySet().retainAll(expected.keySet());
    }
    List<LabelPair> pairs = new ArrayList<>();
    List<InvalidFileException> alone = new ArrayList<>();
    tested.forEach((name, path) -> {
      Path partner = expected.get(name);
      if (partner == null) {
        alone.add(withoutPartner(path, name, references));
      } else {
        pairs.add(new LabelPair(name, path, partner));
      }
    });
    expected.forEach((name, path) -> {
      if (!tested.containsKey(name)) {
        alone.add(withoutPartner(path, name, predictions));
      }
    });
    return new LabelPairs(pairs, alone);
  }

  /**
   * Every prediction of a folder with its reference; there may be more references.
   *
   * @throws NoSuchFileException if a path does not exist
   * @throws InvalidFileException if a folder holds no image or two of one case, or a prediction has
   *     no reference
   */
  static List<LabelPair> ofPredictions(Path predictions, Path references) throws IOException {
    Map<String, Path> expected = files(references);
    List<LabelPair> pairs = new ArrayList<>();
    for (Map.Entry<String, Path> tested : files(predictions).entrySet()) {
      Path partner = expected.get(tested.getKey());
      if (partner == null) {
        throw withoutPartner(tested.getValue(), tested.getKey(), references);
      }
      pairs.add(new LabelPair(tested.getKey(), tested.getValue(), partner));
    }
    return pairs;
  }

  private static InvalidFileException withoutPartner(Path path, String name, Path folder) {
    return new InvalidFileException(path, "no file of case '%s' in %s".formatted(name, folder));
  }

  /**
   * Files of labels by the name of their case, ascending: of a folder, or the one file.
   *
   * @throws NoSuchFileException if the path does not exist
   * @throws InvalidFileException if a folder holds no image or two of one case
   */
  static Map<String, Path> files(Path path) throws IOException {
    Map<String, Path> files = new TreeMap<>();
    if (!Files.isDirectory(path)) {
      requireExists(path);
      files.put(caseName(path), path);
      return files;
    }
    for (Path file : images(path)) {
      Path same = files.get(caseName(file));
      if (same == null || (isResult(file) && !isResult(same))) { // labels beside their image
        files.put(caseName(file), file);
      } else if (isResult(file) == isResult(same)) {
        throw new InvalidFileException(file, "names the same case as " + same.getFileName());
      }
    }
    if (files.isEmpty()) {
      throw new InvalidFileException(path, "holds no NIfTI image (.nii, .nii.gz, .hdr)");
    }
    return files;
  }

  private static void requireExists(Path path) throws NoSuchFileException {
    if (!Files.exists(path)) {
      throw new NoSuchFileException(path.toString());
    }
  }

  private static List<Path> images(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries
          .filter(Files::isRegularFile)
          .filter(CaseFiles::isImage)
          .filter(file -> !CaseFiles.stem(file).endsWith(PROBABILITIES))
          .sorted()
          .toList();
    }
  }

  private static boolean isResult(Path file) {
    return CaseFiles.stem(file).endsWith(RESULT);
  }

  private static String caseName(Path file) {
    String stem = CaseFiles.stem(file);
    return isResult(file) ? stem.substring(0, stem.length() - RESULT.length()) : stem;
  }
}
