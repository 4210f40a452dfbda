package org.unetrpp.recipe;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.dataset.DatasetFolder;
import org.unetrpp.files.InvalidFileException;

/**
 * Where the published scripts expect a data set: {@code
 * BASE/unetr_pp_raw/unetr_pp_raw_data/TaskNNN_Name}.
 *
 * @param base the folder that the authors' archives unpack to, such as {@code DATASET_Synapse}
 * @param names of the task's folder, those of converted data first
 */
public record DatasetFolders(String base, List<String> names) {
  private static final List<String> RAW =
      List.of("", "unetr_pp_raw_data", "unetr_pp_raw/unetr_pp_raw_data");

  public DatasetFolders {
    names = List.copyOf(names);
    if (names.isEmpty()) {
      throw new IllegalArgumentException("names is empty, expected at least one folder");
    }
  }

  /**
   * The folder of images and labels that a person means: the folder given if it holds them, else
   * the task's folder in it, on any level of the published layout.
   *
   * @throws NoSuchFileException if there is no such folder
   * @throws InvalidFileException if neither it nor a folder of the layout holds images and labels
   */
  public Path locate(Path given) throws IOException {
    if (!Files.exists(given)) {
      throw new NoSuchFileException(given.toString());
    }
    if (!Files.isDirectory(given)) {
      throw new InvalidFileException(given, "a file, expected the folder of a data set");
    }
    return candidates(given).stream()
        .filter(DatasetFolder::isDataset)
        .findFirst()
        .orElseThrow(() ->
            new InvalidFileException(
                given,
                ("holds no imagesTr and labelsTr, nor does %s in it, "
                        + "in unetr_pp_raw/unetr_pp_raw_data or in %s; name the folder that does")
                    .formatted(String.join(" or ", names), base)));
  }

  private List<Path> candidates(Path given) {
    List<Path> candidates = new ArrayList<>(List.of(given));
    for (Path root : List.of(given, given.resolve(base))) {
      for (String raw : RAW) {
        names.forEach(name -> candidates.add(root.resolve(raw).resolve(name)));
      }
    }
    return candidates;
  }
}
