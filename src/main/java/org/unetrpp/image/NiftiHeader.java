package org.unetrpp.image;

import static org.unetrpp.image.HeaderField.BITPIX;
import static org.unetrpp.image.HeaderField.DATATYPE;
import static org.unetrpp.image.HeaderField.DESCRIP;
import static org.unetrpp.image.HeaderField.DESCRIP_LENGTH;
import static org.unetrpp.image.HeaderField.DIM;
import static org.unetrpp.image.HeaderField.INTENT_CODE;
import static org.unetrpp.image.HeaderField.PIXDIM;
import static org.unetrpp.image.HeaderField.QFORM_CODE;
import static org.unetrpp.image.HeaderField.SCL_SLOPE;
import static org.unetrpp.image.HeaderField.SFORM_CODE;
import static org.unetrpp.image.HeaderField.SIZEOF_HDR;
import static org.unetrpp.image.HeaderField.SROW_X;
import static org.unetrpp.image.HeaderField.SROW_Y;
import static org.unetrpp.image.HeaderField.SROW_Z;
import static org.unetrpp.image.HeaderField.VOX_OFFSET;
import static org.unetrpp.image.HeaderField.XYZT_UNITS;

import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;

/**
 * The header of a NIfTI-1, NIfTI-2 or Analyze 7.5 file, checked. Every byte of it and of its
 * extensions is kept, so that an output in the same space can carry them on. Immutable.
 */
public final class NiftiHeader {
  /** Bytes after the header that say whether extensions follow. */
  static final int EXTENDER_BYTES = 4;

  private static final int LARGEST_RANK = 7;
  private static final int SPATIAL_AXES = 3;

  private static final double SHEAR_WORTH_A_WARNING = 1e-3;
  private static final double SPACING_DIFFERENCE_WORTH_A_WARNING = 1e-3;

  private static final int SCANNER_SPACE = 1;
  private static final int UNIT_MILLIMETERS = 2;
  private static final int FIRST_CIFTI_INTENT = 3000;
  private static final int LAST_CIFTI_INTENT = 3099;

  private final HeaderBytes bytes;
  private final byte[] extensionBytes;
  private final List<NiftiExtension> extensions;
  private final VoxelType voxelType;
  private final List<Integer> shape;
  private final List<Double> spacing;
  private final long voxelBytes;
  private final long voxelOffset;
  private final double slope;
  private final double intercept;
  private final Affine affine;

  /**
   * @param path of the header, for messages
   * @param extensionBytes what lies between the extender and the voxels, or the end of a header
   *     without voxels; empty if the extender says that there are no extensions
   * @throws InvalidFileException if a field is not what it should be
   */
  NiftiHeader(Path path, HeaderBytes bytes, byte[] extensionBytes) throws InvalidFileException {
    this.bytes = bytes;
    HeaderParser parser = new HeaderParser(path, bytes);
    this.voxelType = parser.voxelType();
    this.shape = parser.shape();
    this.voxelBytes = parser.voxelBytes(shape, voxelType);
    this.spacing = parser.axisSpacing(shape.size());
    this.voxelOffset = parser.voxelOffset();
    this.slope = parser.slope();
    this.intercept = parser.intercept();
    this.affine = new HeaderAffine(path, bytes, spatialShape(), spatialSpacing()).find();
    this.extensions = parser.extensions(extensionBytes);
    this.extensionBytes = extensionBytes.clone();
  }

  /**
   * A header for volumes that come from no NIfTI file: NIfTI-1 where the extents fit, else NIfTI-2,
   * float32, the affine as sform in the scanner's space.
   *
   * @throws IllegalArgumentException if a header cannot hold the geometry
   */
  public static NiftiHeader of(Geometry geometry) {
    int[] extents = geometry.extents().toArray();
    boolean wide = Math.max(extents[0], Math.max(extents[1], extents[2])) > Short.MAX_VALUE;
    HeaderFormat format = wide ? HeaderFormat.NIFTI_2 : HeaderFormat.NIFTI_1;
    HeaderBytes bytes = new HeaderBytes(format, ByteOrder.LITTLE_ENDIAN, new byte[format.bytes()]);
    bytes.set(SIZEOF_HDR, format.bytes());
    NiftiMagic.SINGLE_FILE.writeTo(bytes);
    bytes.set(DATATYPE, VoxelType.FLOAT32.code());
    bytes.set(BITPIX, Byte.SIZE * VoxelType.FLOAT32.bytes());
    bytes.set(VOX_OFFSET, format.bytes() + EXTENDER_BYTES);
    bytes.set(SCL_SLOPE, 1);
    bytes.set(XYZT_UNITS, UNIT_MILLIMETERS);
    bytes.set(DIM, 0, SPATIAL_AXES);
    bytes.set(PIXDIM, 0, 1);
    for (int axis = 0; axis < LARGEST_RANK; axis++) {
      boolean spatial = axis < SPATIAL_AXES;
      bytes.set(DIM, axis + 1, spatial ? extents[SPATIAL_AXES - 1 - axis] : 1);
      double length = spatial ? geometry.spacing().along(SPATIAL_AXES - 1 - axis) : 1;
      bytes.set(PIXDIM, axis + 1, length);
    }
    setRows(bytes, geometry.affine(), SCANNER_SPACE);
    try {
      return new NiftiHeader(Path.of("header"), bytes, new byte[0]);
    } catch (InvalidFileException e) {
      throw new IllegalArgumentException(geometry + " does not fit a NIfTI header", e);
    }
  }

  /** Which of the formats this is. */
  public HeaderFormat format() {
    return bytes.format();
  }

  /** The byte order of header and voxels. */
  public ByteOrder byteOrder() {
    return bytes.order();
  }

  /** Whether the voxels follow in the same file, else they are in the .img file of a pair. */
  public boolean singleFile() {
    return NiftiMagic.of(bytes) == NiftiMagic.SINGLE_FILE;
  }

  /** How voxels are stored. */
  public VoxelType voxelType() {
    return voxelType;
  }

  /** Voxels along each axis in the order of the file: i, the fastest in memory, first. */
  public List<Integer> shape() {
    return shape;
  }

  /**
   * Distance of neighbors along each axis in the order of the file, as {@code pixdim} states it:
   * millimeters along the first three, where a sign is dropped and 0 means 1; the unit of {@code
   * xyzt_units} beyond.
   */
  public List<Double> axisSpacing() {
    return spacing;
  }

  /** From voxel index to millimeters. */
  public Affine affine() {
    return affine;
  }

  /** The voxel grid of each volume in the file. */
  public Geometry geometry() {
    int[] size = spatialShape();
    double[] lengths = spatialSpacing();
    return new Geometry(
        new Extents(size[2], size[1], size[0]),
        new Spacing(lengths[2], lengths[1], lengths[0]),
        affine);
  }

  /** How many volumes the axes after the third make. */
  public long volumeCount() {
    return shape.stream()
        .skip(SPATIAL_AXES)
        .mapToLong(Integer::longValue)
        .reduce(1, (x, y) -> x * y);
  }

  /** What a stored number is multiplied with; 1 if the header states none. */
  public double slope() {
    return slope;
  }

  /** What is added to the product; 0 if the header states no slope. */
  public double intercept() {
    return intercept;
  }

  /** The space that the qform leads to, 0 for none (also in Analyze, which has no qform). */
  public int qformCode() {
    return HeaderAffine.isSet(bytes, QFORM_CODE) ? (int) bytes.whole(QFORM_CODE) : 0;
  }

  /** The space that the sform leads to, 0 for none (also in Analyze, which has no sform). */
  public int sformCode() {
    return HeaderAffine.isSet(bytes, SFORM_CODE) ? (int) bytes.whole(SFORM_CODE) : 0;
  }

  /** Free text, up to 80 characters. */
  public String description() {
    return bytes.text(DESCRIP, DESCRIP_LENGTH);
  }

  /** The extensions, in the order of the file. */
  public List<NiftiExtension> extensions() {
    return extensions;
  }

  /**
   * What a user should know about the geometry before trusting distances, one line each; empty for
   * a plain grid.
   */
  public List<String> geometryWarnings() {
    List<String> warnings = new ArrayList<>();
    double shear = affine.shear();
    if (affine.isSingular()) {
      warnings.add("the affine is singular: its axes span no volume");
    } else if (shear > SHEAR_WORTH_A_WARNING) {
      warnings.add(
          String.format(
              Locale.ROOT,
              "the voxel axes are not perpendicular (shear %.3f); processed as a plain grid",
              shear));
    }
    Spacing stated = geometry().spacing();
    Spacing implied = affine.spacing();
    if (differ(stated, implied)) {
      warnings.add(
          "pixdim states a spacing of %s, the affine implies %s; the former is used"
              .formatted(stated, implied));
    }
    return List.copyOf(warnings);
  }

  /** Where voxels start in their file, decompressed. */
  long voxelOffset() {
    return voxelOffset;
  }

  /** Bytes of all voxels. */
  long voxelBytes() {
    return voxelBytes;
  }

  /** Whether the file is a matrix over brain ordinates, not an image on a grid. */
  boolean isCifti() {
    long intent = bytes.whole(INTENT_CODE);
    return bytes.format() != HeaderFormat.ANALYZE
        && intent >= FIRST_CIFTI_INTENT
        && intent <= LAST_CIFTI_INTENT;
  }

  /** A copy of the fields, for an output. */
  HeaderBytes copyBytes() {
    return bytes.copy();
  }

  /** What follows the extender, as in the file. */
  byte[] extensionBytes() {
    return extensionBytes.clone();
  }

  private int[] spatialShape() {
    return Stream.concat(shape.stream(), Stream.of(1, 1))
        .limit(SPATIAL_AXES)
        .mapToInt(Integer::intValue)
        .toArray();
  }

  private double[] spatialSpacing() {
    double[] lengths = new double[SPATIAL_AXES];
    for (int axis = 0; axis < SPATIAL_AXES; axis++) {
      lengths[axis] = axis < spacing.size() ? spacing.get(axis) : 1;
    }
    return lengths;
  }

  private static void setRows(HeaderBytes bytes, Affine affine, int code) {
    bytes.set(SFORM_CODE, code);
    HeaderField[] rows = {SROW_X, SROW_Y, SROW_Z};
    for (int row = 0; row < rows.length; row++) {
      for (int column = 0; column <= SPATIAL_AXES; column++) {
        bytes.set(rows[row], column, affine.at(row, column));
      }
    }
  }

  private static boolean differ(Spacing stated, Spacing implied) {
    for (int axis = 0; axis < SPATIAL_AXES; axis++) {
      double difference = Math.abs(stated.along(axis) - implied.along(axis));
      if (difference > SPACING_DIFFERENCE_WORTH_A_WARNING * stated.along(axis)) {
        return true;
      }
    }
    return false;
  }
}
