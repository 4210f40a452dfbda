package org.unetrpp.dataset;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Nifti;

/** Finds the cases of a data set folder. */
final class FolderReader {
  private static final List<List<String>> LAYOUTS =
      List.of(List.of("imagesTr", "labelsTr"), List.of("images", "labels"));

  private static final int MAX_DEPTH = 4;
  private static final int MAX_ENTRIES = 10_000;

  private final Path folder;
  private final Map<String, DatasetCase> cases = new TreeMap<>();
  private final List<Problem> problems = new ArrayList<>();

  FolderReader(Path folder) {
    this.folder = folder;
  }

  DatasetFolder read() throws IOException {
    Path file = folder.resolve(DatasetDescription.FILE_NAME);
    DatasetDescription description = Files.exists(file) ? DatasetDescription.read(file) : null;
    List<String> channels = description == null ? List.of() : description.channels();
    if (description != null && !description.training().isEmpty()) {
      description.training().forEach(pair -> addListed(pair, channels.size()));
      warnOfUnlisted();
    } else {
      addFound(channels.size());
    }
    if (description != null) {
      description
          .remarks(cases.size())
          .forEach(remark -> problems.add(Problem.warning(file, remark)));
    }
    if (cases.isEmpty() && problems.stream().noneMatch(Problem::isError)) {
      throw new InvalidFileException(folder, "holds no case: no label file (.nii, .nii.gz)");
    }
    return new DatasetFolder(
        folder,
        name(description),
        channels.isEmpty() ? unknownChannels() : channels,
        description == null ? List.of() : description.labels(),
        List.copyOf(cases.values()),
        problems);
  }

  /** A data set a few folders down, such as in the layout of published scripts. */
  private Optional<Path> datasetBelow() throws IOException {
    try (Stream<Path> folders = Files.walk(folder, MAX_DEPTH)) {
      return folders.limit(MAX_ENTRIES).filter(below -> layout(below).isPresent()).findFirst();
    } catch (UncheckedIOException e) {
      return Optional.empty(); // a folder that may not be read is none that was meant
    }
  }

  /** The folders of images and labels, if there are both. */
  static Optional<List<Path>> layout(Path folder) {
    return LAYOUTS.stream()
        .map(layout -> layout.stream().map(folder::resolve).toList())
        .filter(layout -> layout.stream().allMatch(Files::isDirectory))
        .findFirst();
  }

  private String name(@Nullable DatasetDescription description) {
    String name = description == null ? null : description.name();
    return name == null || name.isBlank()
        ? String.valueOf(folder.toAbsolutePath().normalize().getFileName())
        : name;
  }

  private void addListed(DatasetDescription.Pair pair, int channels) {
    Path image = folder.resolve(pair.image()).normalize();
    Path label = folder.resolve(pair.label()).normalize();
    Optional<ImageName> imageName = ImageName.of(image);
    Optional<ImageName> labelName = ImageName.of(label);
    if (imageName.isEmpty() || labelName.isEmpty()) {
      Path wrong = imageName.isEmpty() ? image : label;
      problems.add(Problem.error(wrong, "expected a name that ends in .nii or .nii.gz"));
      return;
    }
    String stem = imageName.get().stem();
    boolean numbered =
        imageName.get().numbered().isPresent() && !stem.equals(labelName.get().stem());
    String id = numbered ? imageName.get().numbered().orElseThrow().name() : stem;
    String ending = imageName.get().ending();
    boolean split =
        numbered
            || (!Files.exists(image)
                && Files.exists(image.resolveSibling(ImageName.ofChannel(id, 0, ending))));
    add(
        new DatasetCase(
            id, split ? channelFiles(image, id, channels, ending) : List.of(image), label));
  }

  private static List<Path> channelFiles(Path sibling, String id, int channels, String ending) {
    return IntStream.range(0, channels)
        .mapToObj(channel -> sibling.resolveSibling(ImageName.ofChannel(id, channel, ending)))
        .toList();
  }

  private void add(DatasetCase found) {
    DatasetCase same = cases.putIfAbsent(found.id(), found);
    if (same != null) {
      problems.add(
          Problem.error(
              found.label(), "a second case '%s', beside %s".formatted(found.id(), same.label())));
    }
  }

  private void warnOfUnlisted() throws IOException {
    Set<Path> listed = new HashSet<>();
    cases.values().forEach(found -> listed.addAll(found.files()));
    for (List<String> layout : LAYOUTS) {
      for (String part : layout) {
        for (Path file : filesIn(folder.resolve(part))) {
          if (!listed.contains(file.normalize())) {
            problems.add(
                Problem.warning(file, "belongs to no case of " + DatasetDescription.FILE_NAME));
          }
        }
      }
    }
  }

  private void addFound(int declaredChannels) throws IOException {
    Optional<List<Path>> found = layout(folder);
    if (found.isEmpty()) {
      throw new InvalidFileException(
          folder,
          "holds neither imagesTr and labelsTr nor images and labels: no data set; "
              + datasetBelow()
                  .map("%s is one"::formatted)
                  .orElse("name the folder that holds them"));
    }
    List<Path> folders = found.get();
    List<Path> imageFiles = filesIn(folders.getFirst());
    Map<String, Path> labels = labels(folders.getLast(), caseNames(imageFiles));
    Images images = Images.of(imageFiles, labels.keySet(), problems);
    int channels = declaredChannels > 0 ? declaredChannels : images.mostChannels();
    labels.forEach((id, label) ->
        add(new DatasetCase(id, images.of(id, channels, folders.getFirst()), label)));
    images.addProblems(channels, labels.keySet(), folders.getLast(), problems);
  }

  /** Every name that a case of these images may have. */
  private static Set<String> caseNames(List<Path> images) {
    return images.stream()
        .flatMap(image -> ImageName.of(image).stream())
        .flatMap(name ->
            Stream.concat(
                Stream.of(name.stem()), name.numbered().map(ImageName.Numbered::name).stream()))
        .collect(Collectors.toUnmodifiableSet());
  }

  /**
   * @param cases that have images
   */
  private Map<String, Path> labels(Path labelFolder, Set<String> cases) throws IOException {
    Map<String, Path> labels = new TreeMap<>();
    for (Path file : filesIn(labelFolder)) {
      Optional<ImageName> name = ImageName.of(file);
      if (name.isEmpty()) {
        problems.add(Problem.warning(file, "belongs to no case: no name of a NIfTI file"));
        continue;
      }
      String stem = name.get().stem();
      String id = LabelName.caseOf(stem, cases::contains).orElse(stem);
      Path same = labels.putIfAbsent(id, file);
      if (same != null) {
        problems.add(Problem.error(file, "a second case '%s', beside %s".formatted(id, same)));
      }
    }
    return labels;
  }

  /**
   * The files of an image folder by case.
   *
   * @param whole cases in one file
   * @param numbered files of cases by channel
   */
  private record Images(Map<String, Path> whole, Map<String, Map<Integer, Path>> numbered) {
    /**
     * @param ids cases that have labels
     */
    static Images of(List<Path> files, Set<String> ids, List<Problem> problems) {
      Images images = new Images(new TreeMap<>(), new TreeMap<>());
      for (Path file : files) {
        Optional<ImageName> name = ImageName.of(file);
        if (name.isEmpty()) {
          problems.add(Problem.warning(file, "belongs to no case: no name of a NIfTI file"));
        } else {
          images.put(file, name.get(), ids, problems);
        }
      }
      return images;
    }

    private void put(Path file, ImageName name, Set<String> ids, List<Problem> problems) {
      Optional<ImageName.Numbered> channel = name.numbered();
      Path same;
      if (channel.isPresent() && !ids.contains(name.stem())) {
        same =
            numbered
                .computeIfAbsent(channel.get().name(), _ -> new TreeMap<>())
                .putIfAbsent(channel.get().channel(), file);
      } else {
        same = whole.putIfAbsent(name.stem(), file);
      }
      if (same != null) {
        problems.add(Problem.error(file, "a second image of the same case, beside " + same));
      }
    }

    int mostChannels() {
      return numbered.values().stream()
          .mapToInt(files -> Collections.max(files.keySet()) + 1)
          .max()
          .orElse(0);
    }

    List<Path> of(String id, int channels, Path folder) {
      Path file = whole.get(id);
      Map<Integer, Path> files = numbered.getOrDefault(id, Map.of());
      if (file != null || files.isEmpty()) {
        return List.of(file == null ? folder.resolve(id + ".nii.gz") : file);
      }
      return IntStream.range(0, channels)
          .mapToObj(channel ->
              files.getOrDefault(
                  channel, folder.resolve(ImageName.ofChannel(id, channel, ".nii.gz"))))
          .toList();
    }

    /** Images without labels, channels that are too many, and cases that are there twice. */
    void addProblems(int channels, Set<String> ids, Path labelFolder, List<Problem> problems) {
      whole.forEach((id, file) -> {
        if (!ids.contains(id)) {
          problems.add(unlabeled(id, file, labelFolder));
        }
      });
      numbered.forEach((id, files) -> {
        Path first = files.values().iterator().next();
        if (whole.containsKey(id)) {
          problems.add(
              Problem.error(first, "a second image of the same case, beside " + whole.get(id)));
        } else if (!ids.contains(id)) {
          problems.add(unlabeled(id, first, labelFolder));
        }
        files.forEach((channel, file) -> {
          if (channel >= channels) {
            problems.add(
                Problem.warning(
                    file, "belongs to no case: the data set has %d channels".formatted(channels)));
          }
        });
      });
    }

    private static Problem unlabeled(String id, Path image, Path labelFolder) {
      return Problem.error(
          image, "its label is missing, expected " + labelFolder.resolve(id + ".nii.gz"));
    }
  }

  /** As many as the first readable case has. */
  private List<String> unknownChannels() {
    int count = 1;
    for (DatasetCase found : cases.values()) {
      if (found.images().size() > 1) {
        count = found.images().size();
        break;
      }
      try {
        count = Math.toIntExact(Nifti.readHeader(found.images().getFirst()).volumeCount());
        break;
      } catch (IOException | ArithmeticException _) {
        count = 1; // the integrity check will say what is wrong with the file
      }
    }
    return Collections.nCopies(count, DatasetFolder.UNKNOWN_MODALITY);
  }

  /** Files that are not hidden, by name; none if there is no such folder. */
  private static List<Path> filesIn(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries
          .filter(Files::isRegularFile)
          .filter(file -> !String.valueOf(file.getFileName()).startsWith("."))
          .sorted()
          .toList();
    }
  }
}
