package org.unetrpp.sampling;

import java.util.List;
import org.unetrpp.augmentation.Draws;
import org.unetrpp.dataset.PreparedCase;
import org.unetrpp.grid.Extents;

/// Where the first voxel of a cut lies in its case.
///
/// Along each axis, `need` is what the cut has more than the network's patch, or, where the case
/// and that together are shorter than the cut, what the cut has more than the case. The cut may lie
/// anywhere between the bounds that let it run past the case by half of `need` on each side. The
/// published loader keeps a `need` that it enlarged for one case for all later ones of the same
/// process; here each case has its own, so that a sample depends on nothing that came before it.
final class CutPosition {
  private final Extents size;
  private final Extents cut;
  private final int[] low = new int[3];
  private final int[] high = new int[3];

  /**
   * The positions in a case.
   *
   * @param size extents of the case
   * @param cut extents of the cut
   * @param patch extents of the network's patch, at most those of the cut
   */
  CutPosition(Extents size, Extents cut, Extents patch) {
    this.size = size;
    this.cut = cut;
    for (int axis = 0; axis < 3; axis++) {
      int length = size.along(axis);
      int need = Math.max(cut.along(axis) - patch.along(axis), cut.along(axis) - length);
      low[axis] = Math.floorDiv(-need, 2);
      high[axis] = length + need / 2 + need % 2 - cut.along(axis);
    }
  }

  /** Any position, uniformly; may be negative. */
  int[] anywhere(Draws draws) {
    int[] corner = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      corner[axis] = low[axis] + draws.below(high[axis] - low[axis] + 1);
    }
    return corner;
  }

  /**
   * A position around a voxel of a class, both uniformly from those that the case has; anywhere if
   * it has none. The voxel is the middle of the cut, or nearer to its start where that would
   * otherwise begin too far before the case. The cut may run past the upper border.
   */
  int[] aroundForeground(PreparedCase source, Draws draws) {
    List<int[]> present =
        source.locations().stream().filter(locations -> locations.length > 0).toList();
    if (present.isEmpty()) {
      return anywhere(draws);
    }
    int[] locations = present.get(draws.below(present.size()));
    int voxel = locations[draws.below(locations.length)];
    int[] corner = {
      voxel / (size.height() * size.width()),
      voxel / size.width() % size.height(),
      voxel % size.width()
    };
    for (int axis = 0; axis < 3; axis++) {
      corner[axis] = Math.max(low[axis], corner[axis] - cut.along(axis) / 2);
    }
    return corner;
  }
}
