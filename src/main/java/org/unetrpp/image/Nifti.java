package org.unetrpp.image;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.unetrpp.files.InvalidFileException;

/**
 * Reads and writes NIfTI-1 and NIfTI-2 files, single (.nii) and in pairs (.hdr and .img), plain and
 * gzip, in both byte orders; reads Analyze 7.5. Nothing is reoriented: depth is the axis k of the
 * file, height j, width i.
 */
public final class Nifti {
  private Nifti() {}

  /**
   * Reads the header of a file; of a pair, either file may be named.
   *
   * @throws InvalidFileException if it is not of the NIfTI family or says what cannot be
   * @throws IOException if it cannot be read
   */
  public static NiftiHeader readHeader(Path path) throws IOException {
    return HeaderReader.read(ImagePair.headerOf(path));
  }

  /**
   * Reads the header of a file and checks that the file can hold the voxels that it promises; of a
   * pair, either file may be named.
   *
   * @throws InvalidFileException if it is not of the NIfTI family, says what cannot be, or its
   *     voxels cannot be there
   * @throws IOException if it cannot be read
   */
  public static NiftiFile open(Path path) throws IOException {
    Path headerPath = ImagePair.headerOf(path);
    NiftiHeader header = HeaderReader.read(headerPath);
    Path voxelPath = header.singleFile() ? headerPath : ImagePair.imageOf(headerPath);
    VoxelReader reader = new VoxelReader(voxelPath, header);
    reader.requireRoom();
    return new NiftiFile(path, header, reader, Files.size(voxelPath));
  }

  /**
   * Writes labels as uint8 in the space of their source image: geometry, units, description and
   * extensions of its header are kept to the last bit.
   *
   * @param target a name that ends in .nii, .hdr or .img, or one of these and .gz; the two files of
   *     a pair are written one after the other, voxels first
   * @param like header of the source image; of Analyze, a NIfTI-1 header is made
   * @throws IllegalArgumentException if the labels lie on another grid than the header's
   * @throws IOException if writing fails; the file that was being written is then as it was before
   */
  public static void writeLabels(Path target, LabelVolume labels, NiftiHeader like)
      throws IOException {
    NiftiWriter writer = new NiftiWriter(like, VoxelType.UINT8, 1);
    writer.requireSameGrid(labels.geometry());
    writer.write(target, out -> out.write(labels.labels()));
  }

  /** As {@link #writeVolumes} for a single volume as float32. */
  public static void writeVolume(Path target, Volume volume, NiftiHeader like) throws IOException {
    writeVolumes(target, List.of(volume), like, VoxelType.FLOAT32);
  }

  /**
   * Writes volumes in the space of their source image: geometry, units, description and extensions
   * of its header are kept to the last bit.
   *
   * @param target a name as for {@link #writeLabels}
   * @param volumes of one geometry; more than one become the fourth axis
   * @param like header of the source image; of Analyze, a NIfTI-1 header is made
   * @param type FLOAT32, or INT16 or UINT8 for intensities that are rounded to whole numbers
   * @throws IllegalArgumentException if there is no volume, one lies on another grid than the
   *     header's, the type is another, or an intensity is beyond it
   * @throws IOException if writing fails; the file that was being written is then as it was before
   */
  public static void writeVolumes(
      Path target, List<Volume> volumes, NiftiHeader like, VoxelType type) throws IOException {
    NiftiWriter writer = new NiftiWriter(like, type, volumes.size());
    for (Volume volume : volumes) {
      writer.requireSameGrid(volume.geometry());
    }
    VoxelEncoder encoder = new VoxelEncoder(type, writer.outputOrder());
    writer.write(
        target,
        out -> {
          for (Volume volume : volumes) {
            encoder.write(volume.voxels(), out);
          }
        });
  }
}
