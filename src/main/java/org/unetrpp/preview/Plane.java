package org.unetrpp.preview;

import org.unetrpp.grid.Extents;
import org.unetrpp.image.Geometry;

/**
 * A plane of a volume as radiologists look at it. Voxel axes are numbered slice axis first: 0 is
 * depth, 2 is width.
 *
 * @param columns the voxel axis from left to right in the picture
 * @param columnsDescend whether its index falls from left to right
 * @param rows the voxel axis from top to bottom
 * @param rowsDescend whether its index falls from top to bottom
 * @param through the voxel axis that stands on the plane
 * @param nearestIsLast whether its last index is the closest to the viewer
 * @param letters where the left, right, top and bottom edge of the picture lie in the patient, such
 *     as "RLAP"; blanks if the affine does not say
 */
public record Plane(
    int columns,
    boolean columnsDescend,
    int rows,
    boolean rowsDescend,
    int through,
    boolean nearestIsLast,
    String letters) {
  private static final String RIGHT_HANDED = "RAS";
  private static final String LEFT_HANDED = "LPI";

  /** Seen from the feet: the patient's right is at the left, anterior at the top. */
  public static Plane axial(Geometry geometry) {
    return of(geometry, 'L', 'P', 'I');
  }

  /** Seen from the front: the patient's right is at the left, superior at the top. */
  public static Plane coronal(Geometry geometry) {
    return of(geometry, 'L', 'I', 'A');
  }

  /** Seen from the patient's left: anterior is at the left, superior at the top. */
  public static Plane sagittal(Geometry geometry) {
    return of(geometry, 'P', 'I', 'L');
  }

  /**
   * The plane whose picture runs toward two directions of the patient, along the voxel axes that
   * are closest to them, seen from a third.
   */
  private static Plane of(Geometry geometry, char toRight, char toBottom, char toViewer) {
    String codes = geometry.affine().axisCodes();
    boolean known = codes.chars().noneMatch(code -> opposite((char) code) == ' ');
    String used = known ? codes : RIGHT_HANDED;
    int columns = axis(used, toRight);
    int rows = axis(used, toBottom);
    String letters = "" + opposite(toRight) + toRight + opposite(toBottom) + toBottom;
    return new Plane(
        columns,
        used.indexOf(toRight) < 0,
        rows,
        used.indexOf(toBottom) < 0,
        3 - columns - rows,
        used.indexOf(toViewer) >= 0,
        known ? letters : " ".repeat(4));
  }

  /** The voxel axis, slice axis first, along a direction or its opposite. */
  private static int axis(String codes, char direction) {
    return 2 - Math.max(codes.indexOf(direction), codes.indexOf(opposite(direction)));
  }

  private static char opposite(char direction) {
    int positive = RIGHT_HANDED.indexOf(direction);
    int negative = LEFT_HANDED.indexOf(direction);
    return positive >= 0
        ? LEFT_HANDED.charAt(positive)
        : negative >= 0 ? RIGHT_HANDED.charAt(negative) : ' ';
  }

  /** Index in a volume's array of the voxel at a column and a row of one slice. */
  public int voxel(Extents extents, int slice, int column, int row) {
    int inColumns = columnsDescend ? extents.along(columns) - 1 - column : column;
    int inRows = rowsDescend ? extents.along(rows) - 1 - row : row;
    return slice * stride(extents, through)
        + inColumns * stride(extents, columns)
        + inRows * stride(extents, rows);
  }

  /** Distance in the array of neighbors along an axis. */
  private static int stride(Extents extents, int axis) {
    return switch (axis) {
      case 0 -> extents.height() * extents.width();
      case 1 -> extents.width();
      default -> 1;
    };
  }
}
