package org.unetrpp.sampling;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.unetrpp.augmentation.Patch;
import org.unetrpp.dataset.PreparedCase;
import org.unetrpp.grid.Extents;

/** Copies a part of a case row by row; outside of the case the image is 0 and the label -1. */
final class CaseCut {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final short OUTSIDE = -1;

  private CaseCut() {}

  /**
   * Copies.
   *
   * @param corner of the part along each axis, also negative
   * @param extents of the part
   */
  static Patch of(PreparedCase source, int[] corner, Extents extents) {
    int voxels = Math.toIntExact(extents.voxels());
    float[] image = new float[Math.multiplyExact(source.channels(), voxels)];
    short[] labels = new short[voxels];
    Arrays.fill(labels, OUTSIDE);
    Extents size = source.extents();
    int[] first = new int[3];
    int[] end = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      first[axis] = Math.max(0, -corner[axis]);
      end[axis] = Math.min(extents.along(axis), size.along(axis) - corner[axis]);
    }
    int columns = end[2] - first[2];
    for (int slice = first[0]; slice < end[0] && columns > 0; slice++) {
      for (int row = first[1]; row < end[1]; row++) {
        long from =
            ((long) (corner[0] + slice) * size.height() + corner[1] + row) * size.width()
                + corner[2]
                + first[2];
        int to = (slice * extents.height() + row) * extents.width() + first[2];
        MemorySegment.copy(source.labels(), SHORT, Short.BYTES * from, labels, to, columns);
        for (int channel = 0; channel < source.channels(); channel++) {
          MemorySegment.copy(
              source.image(),
              FLOAT,
              Float.BYTES * (channel * size.voxels() + from),
              image,
              channel * voxels + to,
              columns);
        }
      }
    }
    return new Patch(source.channels(), extents, image, labels);
  }
}
