package org.unetrpp.image;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.files.InvalidFileException;

/**
 * A NIfTI or Analyze image on disk whose header was read. Holds no resources: each method that
 * needs voxels opens the file, reads it to its end and closes it.
 */
public final class NiftiFile {
  /** An allocation that needs no proof that the file really unpacks to so much. */
  private static final long HARMLESS_BYTES = 1L << 26;

  /** So many times the size of its file an image may take in memory without that proof. */
  private static final long HARMLESS_RATIO = 32;

  /** The longest array that all Java machines allow. */
  private static final int LONGEST_ARRAY = Integer.MAX_VALUE - 8;

  private final Path path;
  private final NiftiHeader header;
  private final VoxelReader reader;
  private final long voxelFileBytes;

  /**
   * @param path the path that was opened
   * @param reader of the file with the voxels
   * @param voxelFileBytes size of that file as it lies on the disk
   */
  NiftiFile(Path path, NiftiHeader header, VoxelReader reader, long voxelFileBytes) {
    this.path = path;
    this.header = header;
    this.reader = reader;
    this.voxelFileBytes = voxelFileBytes;
  }

  /** The path that was opened. */
  public Path path() {
    return path;
  }

  /** The header, for geometry and for outputs in the same space. */
  public NiftiHeader header() {
    return header;
  }

  /** Voxels along each axis in the order of the file: i, the fastest in memory, first. */
  public List<Integer> shape() {
    return header.shape();
  }

  /**
   * Reads all voxels, one block in memory at a time, and says what the file holds. Works for every
   * {@link VoxelType}.
   *
   * @throws InvalidFileException if the file is cut off or damaged
   * @throws IOException if it cannot be read
   */
  public ImageSummary summary() throws IOException {
    StatisticsSink statistics = new StatisticsSink(header);
    reader.forEachTile(statistics);
    return new ImageSummary(
        header.shape(),
        header.voxelType().label(header.byteOrder()),
        header.axisSpacing(),
        header.affine(),
        header.affine().axisCodes(),
        header.slope(),
        header.intercept(),
        statistics.result());
  }

  /**
   * Reads all voxels, scaled in double precision and rounded to float once.
   *
   * @return one volume for each index of the fourth axis, and of all later ones: a single one for a
   *     three-dimensional file. NaN and infinite voxels are kept
   * @throws InvalidFileException if the file is cut off or damaged, holds complex numbers, colors
   *     or a matrix over brain ordinates, or its volumes are too large for an array
   * @throws IOException if it cannot be read
   */
  public List<Volume> volumes() throws IOException {
    requireIntensities();
    if (mayBeBomb()) {
      reader.check();
    }
    List<float[]> arrays = allocate();
    reader.forEachTile(new ArraySink(arrays, header.slope(), header.intercept()));
    Geometry geometry = header.geometry();
    return arrays.stream().map(voxels -> new Volume(geometry, voxels)).toList();
  }

  /**
   * Opens the file to read its voxels piece by piece.
   *
   * @throws InvalidFileException if it holds complex numbers, colors or a matrix over brain
   *     ordinates, or its volumes are too large for an array
   * @throws IOException if it cannot be read
   */
  @MustBeClosed
  public VoxelStream stream() throws IOException {
    requireIntensities();
    return reader.stream();
  }

  private void requireIntensities() throws InvalidFileException {
    if (!header.voxelType().isScalar()) {
      throw new InvalidFileException(
          path,
          "holds %s voxels, expected one number a voxel"
              .formatted(header.voxelType().label(ByteOrder.LITTLE_ENDIAN)));
    }
    if (header.isCifti()) {
      throw new InvalidFileException(
          path, "holds a CIFTI matrix over brain ordinates, expected a volume");
    }
    long voxels = header.geometry().extents().voxels();
    if (voxels > LONGEST_ARRAY) {
      throw new InvalidFileException(
          path,
          "a volume of %s is %d voxels, expected at most %d"
              .formatted(header.geometry().extents(), voxels, LONGEST_ARRAY));
    }
  }

  /** Whether a small file asks for much memory: only then reading it twice is worth the time. */
  private boolean mayBeBomb() {
    long voxels = header.voxelBytes() / header.voxelType().bytes();
    long wanted = Math.multiplyExact(voxels, Float.BYTES);
    return wanted > HARMLESS_BYTES && wanted / HARMLESS_RATIO > voxelFileBytes;
  }

  private List<float[]> allocate() {
    int voxels = Math.toIntExact(header.geometry().extents().voxels());
    List<float[]> arrays = new ArrayList<>();
    for (long i = 0; i < header.volumeCount(); i++) {
      arrays.add(new float[voxels]);
    }
    return arrays;
  }
}
