package org.unetrpp.image;

import java.util.Arrays;

/**
 * Distance of neighboring voxel centers in millimeters, slice axis first.
 *
 * @param depth between slices
 * @param height between rows
 * @param width between columns
 */
public record Spacing(double depth, double height, double width) {
  /** Spacing from an array of three, slice axis first. */
  public static Spacing of(double... millimeters) {
    if (millimeters.length != 3) {
      throw new IllegalArgumentException(
          "%s has %d entries, expected 3"
              .formatted(Arrays.toString(millimeters), millimeters.length));
    }
    return new Spacing(millimeters[0], millimeters[1], millimeters[2]);
  }

  /** Spacing along axis 0 (depth), 1 (height) or 2 (width). */
  public double along(int axis) {
    return switch (axis) {
      case 0 -> depth;
      case 1 -> height;
      case 2 -> width;
      default -> throw new IllegalArgumentException("axis " + axis + ", expected 0, 1 or 2");
    };
  }

  /** The three as a new array, slice axis first. */
  public double[] toArray() {
    return new double[] {depth, height, width};
  }

  /** Volume of one voxel in cubic millimeters. */
  public double voxelVolume() {
    return depth * height * width;
  }
}
