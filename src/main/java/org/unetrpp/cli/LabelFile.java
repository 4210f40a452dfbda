package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiFile;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;

/** A file with a label volume, whose header was read. */
record LabelFile(NiftiFile file) {
  /**
   * Reads the header.
   *
   * @throws InvalidFileException if the file is not of one volume
   */
  static LabelFile open(Path path) throws IOException {
    NiftiFile file = Nifti.open(path);
    if (file.header().volumeCount() != 1) {
      throw new InvalidFileException(
          path, "%d volumes, expected one of labels".formatted(file.header().volumeCount()));
    }
    return new LabelFile(file);
  }

  NiftiHeader header() {
    return file.header();
  }

  /**
   * Reads the labels.
   *
   * @throws InvalidFileException if a voxel is no label
   */
  LabelVolume labels() throws IOException {
    List<Volume> volumes = file.volumes();
    try {
      return LabelVolume.of(volumes.getFirst());
    } catch (IllegalArgumentException e) {
      throw new InvalidFileException(file.path(), String.valueOf(e.getMessage()), e);
    }
  }
}
