package org.unetrpp.image;

import static org.unetrpp.image.HeaderField.PIXDIM;
import static org.unetrpp.image.HeaderField.QFORM_CODE;
import static org.unetrpp.image.HeaderField.QOFFSET_X;
import static org.unetrpp.image.HeaderField.QOFFSET_Y;
import static org.unetrpp.image.HeaderField.QOFFSET_Z;
import static org.unetrpp.image.HeaderField.QUATERN_B;
import static org.unetrpp.image.HeaderField.QUATERN_C;
import static org.unetrpp.image.HeaderField.QUATERN_D;
import static org.unetrpp.image.HeaderField.SFORM_CODE;
import static org.unetrpp.image.HeaderField.SROW_X;
import static org.unetrpp.image.HeaderField.SROW_Y;
import static org.unetrpp.image.HeaderField.SROW_Z;

import java.nio.file.Path;
import org.unetrpp.files.InvalidFileException;

/**
 * Finds the affine of a header as NiBabel does: the sform where it has a code, else the qform where
 * it has one, else from the spacing, the first axis growing to the left and the center of the
 * volume (in Analyze: SPM's origin, where set) at 0.
 */
final class HeaderAffine {
  private static final int HIGHEST_CODE = 5;

  private final Path path;
  private final HeaderBytes bytes;
  private final int[] shape;
  private final double[] spacing;

  /**
   * @param path of the header, for messages
   * @param shape voxels along i, j, k
   * @param spacing millimeters along i, j, k
   */
  HeaderAffine(Path path, HeaderBytes bytes, int[] shape, double[] spacing) {
    this.path = path;
    this.bytes = bytes;
    this.shape = shape;
    this.spacing = spacing;
  }

  /** Whether one of the two codes names a space; other numbers than the standard's do not. */
  static boolean isSet(HeaderBytes bytes, HeaderField code) {
    long value = bytes.whole(code);
    return bytes.format() != HeaderFormat.ANALYZE && value > 0 && value <= HIGHEST_CODE;
  }

  Affine find() throws InvalidFileException {
    if (isSet(bytes, SFORM_CODE)) {
      return fromRows();
    }
    if (isSet(bytes, QFORM_CODE)) {
      return fromQuaternion();
    }
    return fromSpacing(bytes.format() == HeaderFormat.ANALYZE ? analyzeOrigin() : center());
  }

  private Affine fromRows() throws InvalidFileException {
    HeaderField[] rows = {SROW_X, SROW_Y, SROW_Z};
    double[] entries = new double[12];
    for (int row = 0; row < rows.length; row++) {
      for (int column = 0; column < 4; column++) {
        double entry = bytes.real(rows[row], column);
        if (!Affine.isEntry(entry)) {
          throw new InvalidFileException(
              path,
              "%s is %s, expected millimeters".formatted(bytes.locate(rows[row], column), entry));
        }
        entries[row * 4 + column] = entry;
      }
    }
    return Affine.ofRows(entries);
  }

  private Affine fromQuaternion() throws InvalidFileException {
    double b = bytes.real(QUATERN_B);
    double c = bytes.real(QUATERN_C);
    double d = bytes.real(QUATERN_D);
    double a = realPart(b, c, d);
    double[][] rotation = rotation(a, b, c, d);
    double[] lengths = {spacing[0], spacing[1], spacing[2] * handedness()};
    double[] entries = new double[12];
    for (int row = 0; row < 3; row++) {
      for (int column = 0; column < 3; column++) {
        entries[row * 4 + column] = rotation[row][column] * lengths[column];
      }
    }
    HeaderField[] offsets = {QOFFSET_X, QOFFSET_Y, QOFFSET_Z};
    for (int row = 0; row < 3; row++) {
      double offset = bytes.real(offsets[row]);
      if (!Affine.isEntry(offset)) {
        throw new InvalidFileException(
            path, "%s is %s, expected millimeters".formatted(bytes.locate(offsets[row]), offset));
      }
      entries[row * 4 + 3] = offset;
    }
    return Affine.ofRows(entries);
  }

  /** The first number of the unit quaternion, which a header leaves out. */
  private double realPart(double b, double c, double d) throws InvalidFileException {
    double square = 1 - (b * b + c * c + d * d);
    double precision =
        3 * (bytes.format() == HeaderFormat.NIFTI_2 ? Math.ulp(1.0) : Math.ulp(1.0f));
    if (Math.abs(square) < precision) {
      return 0;
    }
    if (!(square > 0)) {
      throw new InvalidFileException(
          path,
          "%s and the two fields after it are (%s, %s, %s), expected three numbers of a unit"
                  .formatted(bytes.locate(QUATERN_B), b, c, d)
              + " quaternion");
    }
    return Math.sqrt(square);
  }

  /** The rotation of a quaternion, after dividing by its length. */
  private static double[][] rotation(double a, double b, double c, double d) {
    double scale = 2 / (a * a + b * b + c * c + d * d);
    return new double[][] {
      {1 - scale * (c * c + d * d), scale * (b * c - a * d), scale * (b * d + a * c)},
      {scale * (b * c + a * d), 1 - scale * (b * b + d * d), scale * (c * d - a * b)},
      {scale * (b * d - a * c), scale * (c * d + a * b), 1 - scale * (b * b + c * c)}
    };
  }

  /** -1 where the third axis is mirrored; a number other than 1 and -1 means 1. */
  private double handedness() {
    return bytes.real(PIXDIM, 0) == -1 ? -1 : 1;
  }

  private Affine fromSpacing(double[] origin) {
    double[] lengths = {-spacing[0], spacing[1], spacing[2]};
    double[] entries = new double[12];
    for (int axis = 0; axis < 3; axis++) {
      entries[axis * 4 + axis] = lengths[axis];
      entries[axis * 4 + 3] = -origin[axis] * lengths[axis];
    }
    return Affine.ofRows(entries);
  }

  /** The voxel in the middle, counted from 0. */
  private double[] center() {
    return new double[] {(shape[0] - 1) / 2.0, (shape[1] - 1) / 2.0, (shape[2] - 1) / 2.0};
  }

  /** The voxel that SPM set as origin, counted from 0; the center if it set none worth using. */
  private double[] analyzeOrigin() {
    double[] origin = new double[3];
    boolean set = false;
    for (int axis = 0; axis < 3; axis++) {
      int number = bytes.shortAt(HeaderField.ANALYZE_ORIGIN + Short.BYTES * axis);
      if (number <= -shape[axis] || number >= 2 * shape[axis]) {
        return center();
      }
      set |= number != 0;
      origin[axis] = number - 1;
    }
    return set ? origin : center();
  }
}
