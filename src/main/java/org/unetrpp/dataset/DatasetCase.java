package org.unetrpp.dataset;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The files of a case; they need not exist.
 *
 * @param id names the case
 * @param images a file for each channel, or one with all of them
 * @param label the file with its labels
 */
public record DatasetCase(String id, List<Path> images, Path label) {
  public DatasetCase {
    images = List.copyOf(images);
  }

  /** Images and label. */
  public List<Path> files() {
    List<Path> files = new ArrayList<>(images);
    files.add(label);
    return files;
  }
}
