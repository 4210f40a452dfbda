package org.unetrpp.pipeline;

import org.unetrpp.grid.Extents;

/**
 * A box of voxels inside a volume.
 *
 * @param origin index of its first voxel along each axis
 * @param extents its size in voxels, at least 1 along each axis
 */
public record Box(Extents origin, Extents extents) {
  /** Checks that the box is not empty and starts at no negative index. */
  public Box {
    for (int axis = 0; axis < 3; axis++) {
      if (origin.along(axis) < 0 || extents.along(axis) < 1) {
        throw new IllegalArgumentException(
            "box of %s at %s, expected extents from 1 and an origin from 0"
                .formatted(extents, origin));
      }
    }
  }

  /** The whole of a volume. */
  public static Box whole(Extents extents) {
    return new Box(new Extents(0, 0, 0), extents);
  }

  /** The first index along an axis that is past the box. */
  public int end(int axis) {
    return origin.along(axis) + extents.along(axis);
  }

  /** Whether the box lies in a volume of these extents. */
  public boolean fits(Extents volume) {
    return end(0) <= volume.depth() && end(1) <= volume.height() && end(2) <= volume.width();
  }
}
