package org.unetrpp.image;

import java.io.IOException;
import java.nio.file.Path;
import org.unetrpp.files.InvalidFileException;

/**
 * The voxels of a file in its order, read as they are asked for: volume after volume, columns
 * fastest. For one thread at a time.
 */
public final class VoxelStream implements AutoCloseable {
  private final Path path;
  private final NiftiHeader header;
  private final ContentStream content;
  private final ScalarDecoder decoder;
  private final int scalarBytes;
  private final byte[] bytes;
  private final double[] tile = new double[ScalarDecoder.TILE];

  /**
   * @param content of the file, at the first voxel; closed with this
   */
  VoxelStream(Path path, NiftiHeader header, ContentStream content) {
    this.path = path;
    this.header = header;
    this.content = content;
    Scalar scalar = header.voxelType().component();
    this.decoder = new ScalarDecoder(scalar, header.byteOrder());
    this.scalarBytes = scalar.bytes();
    this.bytes = new byte[ScalarDecoder.TILE * scalarBytes];
  }

  /**
   * Reads the next voxels, scaled in double precision and rounded to float once.
   *
   * @param target whose start is filled
   * @throws InvalidFileException if the file ends too soon or its gzip stream is damaged
   */
  public void read(float[] target, int count) throws IOException {
    int done = 0;
    while (done < count) {
      int part = Math.min(count - done, tile.length);
      if (content.fill(bytes, part * scalarBytes) < part * scalarBytes) {
        throw new InvalidFileException(
            path,
            "ends at byte %d of its content, expected voxels up to byte %d"
                .formatted(content.position(), header.voxelOffset() + header.voxelBytes()));
      }
      decoder.decode(bytes, 0, part, tile);
      for (int i = 0; i < part; i++) {
        target[done + i] = (float) (tile[i] * header.slope() + header.intercept());
      }
      done += part;
    }
    if (content.position() == header.voxelOffset() + header.voxelBytes()) {
      content.verifyChecksum();
    }
  }

  @Override
  public void close() throws IOException {
    content.close();
  }
}
