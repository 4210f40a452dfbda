package org.unetrpp.metrics;

import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.Box;

/**
 * Two masks with their surfaces, a byte of flags a voxel, within a box outside of which both are
 * empty. No distance depends on what is outside of such a box.
 */
final class MaskPair {
  private static final int TEST = 1;
  private static final int REFERENCE = 2;
  private static final int BOTH = TEST | REFERENCE;
  private static final int SURFACE_SHIFT = 2;
  private static final int TEST_SURFACE = TEST << SURFACE_SHIFT;
  private static final int REFERENCE_SURFACE = REFERENCE << SURFACE_SHIFT;

  private final byte[] flags;
  private final Extents extents;
  private int testSurface;
  private int referenceSurface;

  private MaskPair(byte[] flags, Extents extents) {
    this.flags = flags;
    this.extents = extents;
  }

  /**
   * The masks of a structure.
   *
   * @param box that holds all its voxels in both volumes
   */
  static MaskPair of(Structure structure, LabelVolume test, LabelVolume reference, Box box) {
    boolean[] membership = structure.membership();
    Extents extents = box.extents();
    byte[] flags = new byte[Math.toIntExact(extents.voxels())];
    int voxel = 0;
    for (int depth = box.origin().depth(); depth < box.end(0); depth++) {
      for (int row = box.origin().height(); row < box.end(1); row++) {
        int start = (depth * test.extents().height() + row) * test.extents().width();
        for (int i = start + box.origin().width(); i < start + box.end(2); i++) {
          int inTest = membership[test.labels()[i] & 0xff] ? TEST : 0;
          int inReference = membership[reference.labels()[i] & 0xff] ? REFERENCE : 0;
          flags[voxel] = (byte) (inTest | inReference);
          voxel++;
        }
      }
    }
    MaskPair pair = new MaskPair(flags, extents);
    pair.markSurfaces();
    return pair;
  }

  /** Distances between the surfaces, in the unit of the spacing; both masks hold a voxel. */
  SurfaceDistances distances(Spacing spacing) {
    DistanceTransform toReference =
        new DistanceTransform(flags, REFERENCE_SURFACE, extents, spacing);
    DistanceTransform toTest = new DistanceTransform(flags, TEST_SURFACE, extents, spacing);
    return new SurfaceDistances(
        toReference.distancesFrom(TEST_SURFACE, testSurface),
        toTest.distancesFrom(REFERENCE_SURFACE, referenceSurface));
  }

  /**
   * Flags the voxels of each mask that have a neighbor over a face outside of the mask or outside
   * of the volume.
   */
  private void markSurfaces() {
    int width = extents.width();
    int area = extents.height() * width;
    int voxel = 0;
    for (int depth = 0; depth < extents.depth(); depth++) {
      boolean slicesAround = depth > 0 && depth < extents.depth() - 1;
      for (int row = 0; row < extents.height(); row++) {
        boolean rowsAround = row > 0 && row < extents.height() - 1;
        for (int column = 0; column < width; column++) {
          boolean inside = slicesAround && rowsAround && column > 0 && column < width - 1;
          int own = flags[voxel];
          if (own != 0) {
            int surface = inside ? own & ~neighbors(voxel, width, area) : own;
            flags[voxel] |= (byte) (surface << SURFACE_SHIFT);
            testSurface += surface & TEST;
            referenceSurface += (surface & REFERENCE) >> 1;
          }
          voxel++;
        }
      }
    }
  }

  /** The masks that all six neighbors belong to. */
  private int neighbors(int voxel, int width, int area) {
    return flags[voxel - 1]
        & flags[voxel + 1]
        & flags[voxel - width]
        & flags[voxel + width]
        & flags[voxel - area]
        & flags[voxel + area]
        & BOTH;
  }
}
