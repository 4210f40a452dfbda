package org.unetrpp.image;

import static org.unetrpp.image.HeaderField.BITPIX;
import static org.unetrpp.image.HeaderField.CAL_MAX;
import static org.unetrpp.image.HeaderField.CAL_MIN;
import static org.unetrpp.image.HeaderField.DATATYPE;
import static org.unetrpp.image.HeaderField.DESCRIP;
import static org.unetrpp.image.HeaderField.DESCRIP_LENGTH;
import static org.unetrpp.image.HeaderField.DIM;
import static org.unetrpp.image.HeaderField.INTENT_CODE;
import static org.unetrpp.image.HeaderField.INTENT_NAME;
import static org.unetrpp.image.HeaderField.INTENT_NAME_LENGTH;
import static org.unetrpp.image.HeaderField.INTENT_P1;
import static org.unetrpp.image.HeaderField.INTENT_P2;
import static org.unetrpp.image.HeaderField.INTENT_P3;
import static org.unetrpp.image.HeaderField.PIXDIM;
import static org.unetrpp.image.HeaderField.SCL_INTER;
import static org.unetrpp.image.HeaderField.SCL_SLOPE;
import static org.unetrpp.image.HeaderField.VOX_OFFSET;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import org.unetrpp.files.AtomicFile;

/** Writes voxels behind a header that was made from that of the source image. */
final class NiftiWriter {
  private static final int LARGEST_RANK = 7;

  /** Voxels start at a multiple of this, for readers that map them. */
  private static final int ALIGNMENT = 16;

  /** More threads than this would outrun the disk. */
  private static final int MOST_THREADS = 16;

  private final NiftiHeader like;
  private final VoxelType type;
  private final int volumes;

  /**
   * @param like header of the source image, kept but for what describes its voxels' values
   * @param volumes one for a three-dimensional file, more for a four-dimensional one
   * @throws IllegalArgumentException if there are more volumes than the header's format can count
   */
  NiftiWriter(NiftiHeader like, VoxelType type, int volumes) {
    if (volumes < 1 || (like.format() != HeaderFormat.NIFTI_2 && volumes > Short.MAX_VALUE)) {
      throw new IllegalArgumentException(
          "%d volumes, expected 1 to %d in %s".formatted(volumes, Short.MAX_VALUE, like.format()));
    }
    this.like = like;
    this.type = type;
    this.volumes = volumes;
  }

  /**
   * @param voxels writes all voxels in the order of the file
   * @throws IllegalArgumentException if the name does not end like one of an image file
   * @throws IOException if writing fails; the target is then as it was before
   */
  void write(Path target, AtomicFile.Content voxels) throws IOException {
    String name = target.toString();
    if (ImagePair.isPairName(target)) {
      writeFile(ImagePair.imageName(target), voxels);
      writeFile(ImagePair.headerName(target), out -> writeHeader(out, NiftiMagic.PAIR));
    } else if (name.endsWith(".nii") || name.endsWith(".nii.gz")) {
      writeFile(
          target,
          out -> {
            writeHeader(out, NiftiMagic.SINGLE_FILE);
            voxels.writeTo(out);
          });
    } else {
      throw new IllegalArgumentException(
          target + ": expected a name that ends in .nii, .nii.gz, .hdr or .img");
    }
  }

  /**
   * Files hold single-precision numbers, so the header of a grid may differ from it by rounding.
   *
   * @throws IllegalArgumentException if a volume does not lie on the grid of the header
   */
  void requireSameGrid(Geometry found) {
    Geometry expected = like.geometry();
    if (!expected.isCloseTo(found)) {
      throw new IllegalArgumentException(
          "the volume has %s, affine %s; expected those of the header, %s, affine %s"
              .formatted(found.extents(), found.affine(), expected.extents(), expected.affine()));
    }
  }

  private static void writeFile(Path target, AtomicFile.Content content) throws IOException {
    if (!ImagePair.isGzipName(target)) {
      AtomicFile.write(target, content);
      return;
    }
    AtomicFile.write(
        target,
        out -> {
          int threads = Math.min(MOST_THREADS, Runtime.getRuntime().availableProcessors());
          try (ParallelGzip gzip = new ParallelGzip(out, threads)) {
            content.writeTo(gzip);
            gzip.finish();
          }
        });
  }

  /** Analyze becomes NIfTI-1, little endian; NIfTI keeps the byte order of its header. */
  ByteOrder outputOrder() {
    return like.format() == HeaderFormat.ANALYZE ? ByteOrder.LITTLE_ENDIAN : like.byteOrder();
  }

  private void writeHeader(OutputStream out, NiftiMagic magic) throws IOException {
    byte[] extensions = like.extensionBytes();
    int end = like.format().bytes() + NiftiHeader.EXTENDER_BYTES + extensions.length;
    int aligned = Math.ceilDiv(end, ALIGNMENT) * ALIGNMENT;
    boolean single = magic == NiftiMagic.SINGLE_FILE;

    HeaderBytes bytes = describe();
    magic.writeTo(bytes);
    bytes.set(VOX_OFFSET, single ? aligned : 0);
    out.write(bytes.toArray());
    out.write(new byte[] {(byte) (extensions.length > 0 ? 1 : 0), 0, 0, 0});
    out.write(extensions);
    if (single) {
      out.write(new byte[aligned - end]);
    }
  }

  /** The source's header with the shape and type of the output, without what no longer holds. */
  private HeaderBytes describe() {
    HeaderBytes bytes = spaceOfSource();
    int[] extents = like.geometry().extents().toArray();
    boolean many = volumes > 1;
    bytes.set(DIM, 0, many ? 4 : 3);
    for (int axis = 1; axis <= LARGEST_RANK; axis++) {
      int extent = axis <= 3 ? extents[3 - axis] : 1;
      bytes.set(DIM, axis, axis == 4 ? volumes : extent);
    }
    for (int axis = like.shape().size() + 1; axis <= 3; axis++) {
      bytes.set(PIXDIM, axis, 1);
    }
    if (many) {
      bytes.set(PIXDIM, 4, 1);
    }
    bytes.set(DATATYPE, type.code());
    bytes.set(BITPIX, Byte.SIZE * type.bytes());
    bytes.set(SCL_SLOPE, 1);
    for (HeaderField field :
        Arrays.asList(SCL_INTER, CAL_MIN, CAL_MAX, INTENT_CODE, INTENT_P1, INTENT_P2, INTENT_P3)) {
      bytes.set(field, 0);
    }
    bytes.setText(INTENT_NAME, INTENT_NAME_LENGTH, "");
    return bytes;
  }

  private HeaderBytes spaceOfSource() {
    if (like.format() != HeaderFormat.ANALYZE) {
      return like.copyBytes();
    }
    HeaderBytes bytes = NiftiHeader.of(like.geometry()).copyBytes();
    bytes.setText(DESCRIP, DESCRIP_LENGTH, like.description());
    return bytes;
  }
}
