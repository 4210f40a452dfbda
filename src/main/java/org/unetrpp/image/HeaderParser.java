package org.unetrpp.image;

import static org.unetrpp.image.HeaderField.BITPIX;
import static org.unetrpp.image.HeaderField.DATATYPE;
import static org.unetrpp.image.HeaderField.DIM;
import static org.unetrpp.image.HeaderField.PIXDIM;
import static org.unetrpp.image.HeaderField.SCL_INTER;
import static org.unetrpp.image.HeaderField.SCL_SLOPE;
import static org.unetrpp.image.HeaderField.VOX_OFFSET;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.unetrpp.files.InvalidFileException;

/**
 * Reads the meaning of a header's fields and refuses what they cannot mean, each with the field,
 * its byte offset, what it holds and what was expected.
 */
final class HeaderParser {
  private static final int LARGEST_RANK = 7;
  private static final int SPATIAL_AXES = 3;
  private static final int EXTENSION_PREFIX_BYTES = 8;

  /** A voxel of a kilometer is none. */
  private static final double LARGEST_SPACING = 1e6;

  private final Path path;
  private final HeaderBytes bytes;

  /**
   * @param path of the header, for messages
   */
  HeaderParser(Path path, HeaderBytes bytes) {
    this.path = path;
    this.bytes = bytes;
  }

  VoxelType voxelType() throws InvalidFileException {
    long code = bytes.whole(DATATYPE);
    for (VoxelType type : VoxelType.values()) {
      if (type.code() == code) {
        requireBits(type);
        return type;
      }
    }
    String name =
        switch ((int) code) {
          case 1 -> " (one bit a voxel)";
          case 1536 -> " (float128)";
          case 2048 -> " (complex256)";
          default -> "";
        };
    throw new InvalidFileException(
        path,
        "%s is %d%s, expected an integer, float32, float64, complex64, complex128 or color type"
            .formatted(bytes.locate(DATATYPE), code, name));
  }

  /** Some writers leave bitpix 0, which contradicts nothing. */
  private void requireBits(VoxelType type) throws InvalidFileException {
    long bits = bytes.whole(BITPIX);
    int expected = Byte.SIZE * type.bytes();
    if (bits != 0 && bits != expected) {
      throw new InvalidFileException(
          path,
          "%s is %d, expected %d for datatype %s"
              .formatted(
                  bytes.locate(BITPIX), bits, expected, type.label(ByteOrder.LITTLE_ENDIAN)));
    }
  }

  List<Integer> shape() throws InvalidFileException {
    long rank = bytes.whole(DIM, 0);
    if (rank < 1 || rank > LARGEST_RANK) {
      throw new InvalidFileException(
          path,
          "%s is %d, expected 1 to %d dimensions"
              .formatted(bytes.locate(DIM, 0), rank, LARGEST_RANK));
    }
    List<Integer> shape = new ArrayList<>();
    for (int axis = 1; axis <= rank; axis++) {
      long extent = bytes.whole(DIM, axis);
      if (extent < 1 || extent > Integer.MAX_VALUE) {
        throw new InvalidFileException(
            path,
            "%s is %d, expected 1 to %d voxels"
                .formatted(bytes.locate(DIM, axis), extent, Integer.MAX_VALUE));
      }
      shape.add((int) extent);
    }
    return List.copyOf(shape);
  }

  long voxelBytes(List<Integer> shape, VoxelType type) throws InvalidFileException {
    long count = type.bytes();
    for (int extent : shape) {
      if (count > Long.MAX_VALUE / extent) {
        throw new InvalidFileException(
            path, "dim %s: more bytes than a file holds".formatted(shape));
      }
      count *= extent;
    }
    return count;
  }

  List<Double> axisSpacing(int rank) throws InvalidFileException {
    List<Double> spacing = new ArrayList<>();
    for (int axis = 1; axis <= rank; axis++) {
      double length = bytes.real(PIXDIM, axis);
      boolean spatial = axis <= SPATIAL_AXES;
      if (!Double.isFinite(length) || (spatial && Math.abs(length) > LARGEST_SPACING)) {
        throw new InvalidFileException(
            path,
            "%s is %s, expected a distance in millimeters"
                .formatted(bytes.locate(PIXDIM, axis), length));
      }
      if (spatial) {
        length = length == 0 ? 1 : Math.abs(length);
      }
      spacing.add(length);
    }
    return List.copyOf(spacing);
  }

  long voxelOffset() throws InvalidFileException {
    double stated = bytes.real(VOX_OFFSET);
    long smallest =
        NiftiMagic.of(bytes) == NiftiMagic.SINGLE_FILE
            ? bytes.format().bytes() + NiftiHeader.EXTENDER_BYTES
            : 0;
    if (stated == 0) {
      return smallest;
    }
    long offset = bytes.whole(VOX_OFFSET);
    if (!(stated >= smallest) || offset != stated || offset == Long.MAX_VALUE) {
      throw new InvalidFileException(
          path,
          "%s is %s, expected a whole number from %d on"
              .formatted(bytes.locate(VOX_OFFSET), stated, smallest));
    }
    return offset;
  }

  private boolean statesSlope() {
    double slope = bytes.real(SCL_SLOPE);
    return slope != 0 && Double.isFinite(slope);
  }

  double slope() {
    return statesSlope() ? bytes.real(SCL_SLOPE) : 1;
  }

  double intercept() throws InvalidFileException {
    if (!statesSlope() || bytes.format() == HeaderFormat.ANALYZE) {
      return 0;
    }
    double intercept = bytes.real(SCL_INTER);
    if (!Double.isFinite(intercept)) {
      throw new InvalidFileException(
          path, "%s is %s, expected a finite number".formatted(bytes.locate(SCL_INTER), intercept));
    }
    return intercept;
  }

  /** The list of extensions; a length of 0 ends it, as does the lack of room for another. */
  List<NiftiExtension> extensions(byte[] extensionBytes) throws InvalidFileException {
    ByteBuffer content = ByteBuffer.wrap(extensionBytes).order(bytes.order());
    List<NiftiExtension> extensions = new ArrayList<>();
    int start = 0;
    while (extensionBytes.length - start >= EXTENSION_PREFIX_BYTES) {
      int size = content.getInt(start);
      int code = content.getInt(start + Integer.BYTES);
      if (size == 0) {
        break;
      }
      if (size < EXTENSION_PREFIX_BYTES || size > extensionBytes.length - start) {
        throw new InvalidFileException(
            path,
            "the extension at byte %d is %d bytes long, expected %d to %d"
                .formatted(
                    bytes.format().bytes() + NiftiHeader.EXTENDER_BYTES + start,
                    size,
                    EXTENSION_PREFIX_BYTES,
                    extensionBytes.length - start));
      }
      extensions.add(new NiftiExtension(code, size));
      start += size;
    }
    return List.copyOf(extensions);
  }
}
