package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiFile;
import org.unetrpp.image.Volume;

/**
 * The two label volumes of a case.
 *
 * @param name of the case
 * @param prediction the file to be tested
 * @param reference the file it is compared with
 */
record LabelPair(String name, Path prediction, Path reference) {
  /** Labels on one grid. */
  record Labels(LabelVolume prediction, LabelVolume reference) {}

  /**
   * Reads both files.
   *
   * @throws InvalidFileException if one is no volume of labels, or their grids differ
   */
  Labels read() throws IOException {
    NiftiFile predicted = open(prediction);
    NiftiFile expected = open(reference);
    requireSameGrid(predicted.header().geometry(), expected.header().geometry());
    return new Labels(labels(predicted), labels(expected));
  }

  /**
   * Reads one label volume.
   *
   * @throws InvalidFileException if it is none
   */
  static LabelVolume readLabels(Path path) throws IOException {
    return labels(open(path));
  }

  /** Voxels of the prediction as its header says. */
  long voxels() throws IOException {
    return Nifti.readHeader(prediction).geometry().extents().voxels();
  }

  private static NiftiFile open(Path path) throws IOException {
    NiftiFile file = Nifti.open(path);
    if (file.header().volumeCount() != 1) {
      throw new InvalidFileException(
          path, "%d volumes, expected one of labels".formatted(file.header().volumeCount()));
    }
    return file;
  }

  private static LabelVolume labels(NiftiFile file) throws IOException {
    List<Volume> volumes = file.volumes();
    try {
      return LabelVolume.of(volumes.getFirst());
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(file.path(), String.valueOf(e.getMessage()), e);
    }
  }

  private void requireSameGrid(Geometry predicted, Geometry expected) throws InvalidFileException {
    if (!predicted.extents().equals(expected.extents())) {
      throw new InvalidFileException(
          prediction,
          "%s voxels, expected %s as %s has"
              .formatted(predicted.extents(), expected.extents(), reference));
    }
    if (!predicted.isCloseTo(expected)) {
      throw new InvalidFileException(
          prediction,
          "affine %s, expected %s as %s has"
              .formatted(predicted.affine(), expected.affine(), reference));
    }
  }
}
