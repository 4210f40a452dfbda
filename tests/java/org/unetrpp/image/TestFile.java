package org.unetrpp.image;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPOutputStream;

/** Files made byte by byte, so that they can also say what cannot be. */
final class TestFile {
  private final HeaderBytes header;
  private byte[] afterHeader = new byte[NiftiHeader.EXTENDER_BYTES];
  private byte[] voxels = new byte[0];

  private TestFile(HeaderBytes header) {
    this.header = header;
  }

  /** A single file of 4 x 3 x 2 voxels at 1 mm, without a form. */
  static TestFile of(HeaderFormat format, ByteOrder order, VoxelType type) {
    HeaderBytes header = new HeaderBytes(format, order, new byte[format.bytes()]);
    header.set(HeaderField.SIZEOF_HDR, format.bytes());
    NiftiMagic.SINGLE_FILE.writeTo(header);
    header.set(HeaderField.DATATYPE, type.code());
    header.set(HeaderField.BITPIX, 8 * type.bytes());
    int[] dim = {3, 4, 3, 2, 1, 1, 1, 1};
    for (int i = 0; i < dim.length; i++) {
      header.set(HeaderField.DIM, i, dim[i]);
      header.set(HeaderField.PIXDIM, i, 1);
    }
    header.set(HeaderField.VOX_OFFSET, format.bytes() + NiftiHeader.EXTENDER_BYTES);
    return new TestFile(header).voxels(new byte[24 * type.bytes()]);
  }

  static TestFile ofShorts() {
    return of(HeaderFormat.NIFTI_1, ByteOrder.LITTLE_ENDIAN, VoxelType.INT16);
  }

  TestFile set(HeaderField field, double value) {
    header.set(field, value);
    return this;
  }

  TestFile set(HeaderField field, int index, double value) {
    header.set(field, index, value);
    return this;
  }

  TestFile voxels(byte[] bytes) {
    voxels = bytes;
    return this;
  }

  /** The extender and what follows it, up to the voxels; moves them. */
  TestFile afterHeader(byte[] bytes) {
    afterHeader = bytes;
    return set(HeaderField.VOX_OFFSET, header.format().bytes() + bytes.length);
  }

  /** Room for voxels in the byte order of the file. */
  ByteBuffer voxelBuffer() {
    return ByteBuffer.wrap(voxels).order(header.order());
  }

  byte[] bytes() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(header.toArray());
    out.writeBytes(afterHeader);
    out.writeBytes(voxels);
    return out.toByteArray();
  }

  Path writeTo(Path path) throws IOException {
    return Files.write(path, path.toString().endsWith(".gz") ? gzip(bytes()) : bytes());
  }

  static byte[] gzip(byte[] content) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(content);
    }
    return out.toByteArray();
  }
}
