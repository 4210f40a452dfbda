package org.unetrpp.grid;

import com.google.errorprone.annotations.Immutable;
import java.util.Arrays;

/**
 * Three whole numbers along the axes of a volume, slice axis first: the size of an image or patch
 * in voxels, a convolution's kernel, stride or padding.
 *
 * @param depth along the slice axis, the slowest in memory
 * @param height along the rows
 * @param width along the columns, the fastest in memory
 */
@Immutable
public record Extents(int depth, int height, int width) {
  /** The same number along all axes. */
  public static Extents cube(int edge) {
    return new Extents(edge, edge, edge);
  }

  /** Extents from an array of three, slice axis first. */
  public static Extents of(int... extents) {
    if (extents.length != 3) {
      throw new IllegalArgumentException(
          "%s has %d extents, expected 3".formatted(Arrays.toString(extents), extents.length));
    }
    return new Extents(extents[0], extents[1], extents[2]);
  }

  /** The extent of axis 0 (depth), 1 (height) or 2 (width). */
  public int along(int axis) {
    return switch (axis) {
      case 0 -> depth;
      case 1 -> height;
      case 2 -> width;
      default -> throw new IllegalArgumentException("axis " + axis + ", expected 0, 1 or 2");
    };
  }

  /** Product of the three. */
  public long voxels() {
    return Math.multiplyExact(Math.multiplyExact((long) depth, height), width);
  }

  /** Whether each extent is a multiple of the other's. */
  public boolean divisibleBy(Extents divisor) {
    return depth % divisor.depth == 0 && height % divisor.height == 0 && width % divisor.width == 0;
  }

  /** Axis by axis quotient, rounded down. */
  public Extents dividedBy(Extents divisor) {
    return new Extents(depth / divisor.depth, height / divisor.height, width / divisor.width);
  }

  /** How many tiles of a size cover these. */
  public long tiles(Extents tile) {
    return (long) Math.ceilDiv(depth, tile.depth)
        * Math.ceilDiv(height, tile.height)
        * Math.ceilDiv(width, tile.width);
  }

  /** Axis by axis product. */
  public Extents times(Extents factor) {
    return new Extents(depth * factor.depth, height * factor.height, width * factor.width);
  }

  /** The three as a new array, slice axis first. */
  public int[] toArray() {
    return new int[] {depth, height, width};
  }

  @Override
  public String toString() {
    return depth + "x" + height + "x" + width;
  }
}
