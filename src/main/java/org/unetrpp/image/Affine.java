package org.unetrpp.image;

import java.util.Arrays;
import java.util.Locale;
import org.apache.commons.math3.linear.Array2DRowRealMatrix;
import org.apache.commons.math3.linear.LUDecomposition;
import org.apache.commons.math3.linear.RealMatrix;
import org.apache.commons.math3.linear.SingularValueDecomposition;

/**
 * Where voxels lie: maps the index (i, j, k) of a voxel, i the fastest in memory, to millimeters
 * along the patient's right, anterior and superior direction. Immutable; the last row is 0 0 0 1.
 */
public final class Affine {
  private static final int ROWS = 3;
  private static final int COLUMNS = 4;

  /** Larger entries are no place in a patient, and their squares would overflow. */
  private static final double LARGEST_ENTRY = 1e18;

  private static final String POSITIVE_CODES = "RAS";
  private static final String NEGATIVE_CODES = "LPI";
  private static final char NO_CODE = '-';

  /** The first three rows, one after the other. */
  private final double[] entries;

  private Affine(double[] entries) {
    this.entries = entries;
  }

  /**
   * The affine of these first three rows.
   *
   * @param entries twelve numbers, row after row: three of the linear part and the offset in
   *     millimeters
   * @throws IllegalArgumentException if there are not twelve or one is not {@linkplain #isEntry
   *     usable}
   */
  public static Affine ofRows(double... entries) {
    if (entries.length != ROWS * COLUMNS) {
      throw new IllegalArgumentException(
          "%d entries, expected %d".formatted(entries.length, ROWS * COLUMNS));
    }
    for (double entry : entries) {
      if (!isEntry(entry)) {
        throw new IllegalArgumentException(
            "%s holds %s, expected finite numbers up to %s"
                .formatted(Arrays.toString(entries), entry, LARGEST_ENTRY));
      }
    }
    return new Affine(entries.clone());
  }

  /** An axis-aligned affine: spacing along each axis, voxel (0, 0, 0) at the origin. */
  public static Affine ofSpacing(Spacing spacing) {
    return ofRows(spacing.width(), 0, 0, 0, 0, spacing.height(), 0, 0, 0, 0, spacing.depth(), 0);
  }

  /** Whether a number can stand in an affine: finite, and not beyond any place in a patient. */
  public static boolean isEntry(double number) {
    return Math.abs(number) <= LARGEST_ENTRY;
  }

  /** The entry of a row (0 to 2) and a column (0 to 3; 3 is the offset). */
  public double at(int row, int column) {
    return entries[row * COLUMNS + column];
  }

  /** The affine that applies {@code first} and then this one. */
  public Affine after(Affine first) {
    RealMatrix product = fourByFour().multiply(first.fourByFour());
    double[] result = new double[ROWS * COLUMNS];
    for (int row = 0; row < ROWS; row++) {
      System.arraycopy(product.getRow(row), 0, result, row * COLUMNS, COLUMNS);
    }
    return ofRows(result);
  }

  /** Millimeters to the right, anterior and superior of the voxel index (i, j, k). */
  public double[] apply(double i, double j, double k) {
    double[] millimeters = new double[ROWS];
    for (int row = 0; row < ROWS; row++) {
      millimeters[row] = at(row, 0) * i + at(row, 1) * j + at(row, 2) * k + at(row, 3);
    }
    return millimeters;
  }

  /**
   * The affine from millimeters to voxel indices.
   *
   * @throws IllegalStateException if this one is {@linkplain #isSingular singular}
   */
  public Affine inverse() {
    if (isSingular()) {
      throw new IllegalStateException("affine " + this + " is singular and has no inverse");
    }
    RealMatrix inverse = new LUDecomposition(fourByFour(), 0).getSolver().getInverse();
    double[] result = new double[ROWS * COLUMNS];
    for (int row = 0; row < ROWS; row++) {
      System.arraycopy(inverse.getRow(row), 0, result, row * COLUMNS, COLUMNS);
    }
    return ofRows(result);
  }

  /** Distance of neighboring voxel centers: the lengths of the columns of the linear part. */
  public Spacing spacing() {
    return new Spacing(columnNorm(2), columnNorm(1), columnNorm(0));
  }

  /** Whether the voxel axes span no volume. */
  public boolean isSingular() {
    double[] singularValues = decomposeDirections().getSingularValues();
    return singularValues[ROWS - 1] <= rankTolerance(singularValues);
  }

  /**
   * How far the voxel axes are from perpendicular: the largest distance from 1 of a singular value
   * of the matrix of axis directions (columns of length 1). 0 for a rotation or reflection, however
   * the voxels are spaced; for one pair of axes slightly off the right angle, half that deviation
   * in radians.
   */
  public double shear() {
    double shear = 0;
    for (double value : decomposeDirections().getSingularValues()) {
      shear = Math.max(shear, Math.abs(value - 1));
    }
    return shear;
  }

  /**
   * The direction in which each voxel axis grows, i first, such as "RAS" (right, anterior,
   * superior) or "LPS". For an oblique image the closest rotation onto the axes decides; an axis
   * without length has the code '-'.
   */
  public String axisCodes() {
    RealMatrix rotation = closestRotation();
    StringBuilder codes = new StringBuilder(ROWS);
    for (int axis = 0; axis < ROWS; axis++) {
      codes.append(takeDirection(rotation, axis));
    }
    return codes.toString();
  }

  /** Whether no entry differs by more than {@code tolerance} (millimeters). */
  public boolean isCloseTo(Affine other, double tolerance) {
    for (int i = 0; i < entries.length; i++) {
      if (Math.abs(entries[i] - other.entries[i]) > tolerance) {
        return false;
      }
    }
    return true;
  }

  /** The four rows as a new array. */
  public double[][] toArray() {
    return fourByFour().getData();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Affine affine && Arrays.equals(entries, affine.entries);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(entries);
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (int row = 0; row < ROWS; row++) {
      text.append(
          String.format(
              Locale.ROOT,
              "%s[%s, %s, %s, %s]",
              row == 0 ? "[" : ", ",
              at(row, 0),
              at(row, 1),
              at(row, 2),
              at(row, 3)));
    }
    return text.append(']').toString();
  }

  private RealMatrix fourByFour() {
    RealMatrix matrix = new Array2DRowRealMatrix(COLUMNS, COLUMNS);
    for (int row = 0; row < ROWS; row++) {
      for (int column = 0; column < COLUMNS; column++) {
        matrix.setEntry(row, column, at(row, column));
      }
    }
    matrix.setEntry(ROWS, ROWS, 1);
    return matrix;
  }

  private double columnNorm(int column) {
    double x = at(0, column);
    double y = at(1, column);
    double z = at(2, column);
    return Math.sqrt(x * x + y * y + z * z);
  }

  /** The singular value decomposition of the axis directions, columns of length 1 or 0. */
  private SingularValueDecomposition decomposeDirections() {
    RealMatrix directions = new Array2DRowRealMatrix(ROWS, ROWS);
    for (int column = 0; column < ROWS; column++) {
      double norm = columnNorm(column);
      for (int row = 0; row < ROWS; row++) {
        directions.setEntry(row, column, norm == 0 ? 0 : at(row, column) / norm);
      }
    }
    return new SingularValueDecomposition(directions);
  }

  private static double rankTolerance(double[] singularValues) {
    return singularValues[0] * ROWS * Math.ulp(1.0);
  }

  /** The orthogonal matrix closest to the axis directions, of their rank. */
  private RealMatrix closestRotation() {
    SingularValueDecomposition svd = decomposeDirections();
    double[] singularValues = svd.getSingularValues();
    double tolerance = rankTolerance(singularValues);
    RealMatrix kept = new Array2DRowRealMatrix(ROWS, ROWS);
    for (int i = 0; i < ROWS; i++) {
      kept.setEntry(i, i, singularValues[i] > tolerance ? 1 : 0);
    }
    return svd.getU().multiply(kept).multiply(svd.getVT());
  }

  /** The code of the direction closest to a column, which no later column gets. */
  private static char takeDirection(RealMatrix rotation, int column) {
    int largest = 0;
    for (int row = 1; row < ROWS; row++) {
      if (Math.abs(rotation.getEntry(row, column)) > Math.abs(rotation.getEntry(largest, column))) {
        largest = row;
      }
    }
    double cosine = rotation.getEntry(largest, column);
    if (Math.abs(cosine) < 1e-8) {
      return NO_CODE;
    }
    rotation.setRow(largest, new double[ROWS]);
    return (cosine > 0 ? POSITIVE_CODES : NEGATIVE_CODES).charAt(largest);
  }
}
