package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;

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
    LabelFile predicted = LabelFile.open(prediction);
    LabelFile expected = LabelFile.open(reference);
    requireSameGrid(predicted.header().geometry(), expected.header().geometry());
    return new Labels(predicted.labels(), expected.labels());
  }

  /** Voxels of the prediction as its header says. */
  long voxels() throws IOException {
    return Nifti.readHeader(prediction).geometry().extents().voxels();
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
