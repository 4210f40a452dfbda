package org.unetrpp.sampling;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.unetrpp.dataset.PreparedCase;
import org.unetrpp.grid.Extents;

/** Makes prepared cases. */
final class Cases {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Cases() {}

  /**
   * A case of two channels whose intensities tell where they are from: the first counts the voxels
   * from 1 on, the second is its negative.
   *
   * @param labels class of each voxel, from -1 to 3
   */
  static PreparedCase of(Arena arena, String id, Extents extents, short[] labels) {
    int voxels = Math.toIntExact(extents.voxels());
    MemorySegment image = arena.allocate(2L * Float.BYTES * voxels, Float.BYTES);
    MemorySegment stored = arena.allocate((long) Short.BYTES * voxels, Short.BYTES);
    for (int voxel = 0; voxel < voxels; voxel++) {
      image.setAtIndex(FLOAT, voxel, voxel + 1);
      image.setAtIndex(FLOAT, voxels + voxel, -voxel - 1);
      stored.setAtIndex(SHORT, voxel, labels[voxel]);
    }
    List<int[]> locations = new ArrayList<>();
    for (int label = 1; label <= 3; label++) {
      int wanted = label;
      locations.add(IntStream.range(0, voxels).filter(voxel -> labels[voxel] == wanted).toArray());
    }
    return new PreparedCase(id, 2, extents, image, stored, locations);
  }

  /** A case that is background but for single voxels. */
  static PreparedCase of(Arena arena, String id, Extents extents, int label, int... at) {
    short[] labels = new short[Math.toIntExact(extents.voxels())];
    for (int voxel : at) {
      labels[voxel] = (short) label;
    }
    return of(arena, id, extents, labels);
  }
}
