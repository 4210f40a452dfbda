package org.unetrpp.dataset;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.ToLongFunction;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Nifti;

/**
 * A folder of images and labels: with a dataset.json and the folders imagesTr and labelsTr, in the
 * form of the Medical Segmentation Decathlon, or plain, with imagesTr and labelsTr or images and
 * labels.
 *
 * <p>The images of a case are {@code CASE.nii.gz}, three-dimensional or with a volume for each
 * channel, or {@code CASE_0000.nii.gz}, {@code CASE_0001.nii.gz}, ...; its labels {@code
 * CASE.nii.gz}. Hidden files do not count. Opening reads no voxels: {@link IntegrityCheck} does.
 *
 * @param folder the folder
 * @param name of the data set
 * @param channels names of the channels; {@link #UNKNOWN_MODALITY} where nothing says so
 * @param labels by ascending value, background included; empty if nothing declares them
 * @param cases by ascending id
 * @param problems that showed without reading files
 */
public record DatasetFolder(
    Path folder,
    String name,
    List<String> channels,
    List<DatasetLabel> labels,
    List<DatasetCase> cases,
    List<Problem> problems) {
  /** Name of a channel of which nothing says what it is. */
  public static final String UNKNOWN_MODALITY = "unknown";

  public DatasetFolder {
    channels = List.copyOf(channels);
    labels = List.copyOf(labels);
    cases = List.copyOf(cases);
    problems = List.copyOf(problems);
  }

  /**
   * Opens a data set folder.
   *
   * @throws NoSuchFileException if there is no such folder
   * @throws InvalidFileException if it has no images and labels, or its {@code dataset.json} is not
   *     what it should be
   */
  public static DatasetFolder open(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      throw new NoSuchFileException(folder.toString());
    }
    if (!Files.isDirectory(folder)) {
      throw new InvalidFileException(folder, "a file, expected the folder of a data set");
    }
    return new FolderReader(folder).read();
  }

  /** Whether a folder holds images and labels, by the names of the folders in it. */
  public static boolean isDataset(Path folder) {
    return FolderReader.layout(folder).isPresent();
  }

  /** The same data set with other names for its channels. */
  public DatasetFolder withChannels(List<String> names) {
    return new DatasetFolder(folder, name, names, labels, cases, problems);
  }

  /** The same data set with other labels. */
  public DatasetFolder withLabels(List<DatasetLabel> newLabels) {
    return new DatasetFolder(folder, name, channels, newLabels, cases, problems);
  }

  /**
   * The largest of what something takes for each case, going by the headers of their first images;
   * cases without a readable header do not count.
   *
   * @param bytes of a case on such a grid
   */
  public long largest(ToLongFunction<Geometry> bytes) {
    return cases.stream().mapToLong(found -> bytes(found, bytes)).max().orElse(0);
  }

  private static long bytes(DatasetCase found, ToLongFunction<Geometry> bytes) {
    try {
      return bytes.applyAsLong(Nifti.readHeader(found.images().getFirst()).geometry());
    } catch (IOException | IllegalArgumentException _) {
      return 0; // the integrity check says what is wrong with it
    }
  }

  /** The file that declares channels and labels, or else the folder. */
  public Path declaration() {
    Path description = folder.resolve(DatasetDescription.FILE_NAME);
    return Files.exists(description) ? description : folder;
  }
}
