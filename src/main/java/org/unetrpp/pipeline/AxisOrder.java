package org.unetrpp.pipeline;

import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/**
 * An order of the three axes: axis {@code i} of the transposed volume is axis {@code along(i)} of
 * the volume as it was. The published planner puts the axis of the largest spacing first ({@code
 * transpose_forward}).
 *
 * @param first the old axis that becomes the slice axis
 * @param second the old axis that becomes the one of the rows
 * @param third the old axis that becomes the one of the columns
 */
public record AxisOrder(int first, int second, int third) {
  /** Leaves every axis where it is. */
  public static final AxisOrder IDENTITY = new AxisOrder(0, 1, 2);

  /** Checks that each axis occurs once. */
  public AxisOrder {
    boolean inRange = Math.min(first, Math.min(second, third)) == 0;
    boolean distinct = first != second && second != third && first != third;
    if (!inRange || !distinct || first + second + third != 3) {
      throw new IllegalArgumentException(
          "axis order %d, %d, %d, expected a permutation of 0, 1, 2"
              .formatted(first, second, third));
    }
  }

  /** The old axis at a place of the new order. */
  public int along(int axis) {
    return switch (axis) {
      case 0 -> first;
      case 1 -> second;
      case 2 -> third;
      default -> throw new IllegalArgumentException("axis " + axis + ", expected 0, 1 or 2");
    };
  }

  /** The order that undoes this one. */
  public AxisOrder inverse() {
    int[] inverse = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      inverse[along(axis)] = axis;
    }
    return new AxisOrder(inverse[0], inverse[1], inverse[2]);
  }

  /** Extents in the new order. */
  public Extents apply(Extents extents) {
    return new Extents(extents.along(first), extents.along(second), extents.along(third));
  }

  /** Spacing in the new order. */
  public Spacing apply(Spacing spacing) {
    return new Spacing(spacing.along(first), spacing.along(second), spacing.along(third));
  }
}
