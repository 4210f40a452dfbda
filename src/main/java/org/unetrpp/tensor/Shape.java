package org.unetrpp.tensor;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** Extents of a tensor, outermost axis first; a batch of activations is (B, D, H, W, C). */
public record Shape(List<Integer> extents) {
  public Shape {
    extents = List.copyOf(extents);
    if (extents.stream().anyMatch(extent -> extent < 0)) {
      throw new IllegalArgumentException("negative extent in " + extents);
    }
  }

  /** Makes a shape of the given extents. */
  public static Shape of(int... extents) {
    return new Shape(Arrays.stream(extents).boxed().toList());
  }

  /**
   * Checks an argument's shape.
   *
   * @throws IllegalArgumentException naming the argument and both shapes
   */
  public static void require(String name, Shape actual, Shape expected) {
    if (!actual.equals(expected)) {
      throw new IllegalArgumentException(
          "%s has shape %s, expected %s".formatted(name, actual, expected));
    }
  }

  /** Number of axes. */
  public int rank() {
    return extents.size();
  }

  /** Extent of an axis; negative axes count from the last. */
  public int extent(int axis) {
    return extents.get(axis < 0 ? axis + rank() : axis);
  }

  /** Product of the extents. */
  public long elements() {
    return extents.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact);
  }

  @Override
  public String toString() {
    return extents.stream().map(String::valueOf).collect(Collectors.joining(", ", "(", ")"));
  }
}
