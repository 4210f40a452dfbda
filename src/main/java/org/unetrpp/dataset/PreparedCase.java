package org.unetrpp.dataset;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * A case as the network sees it: cropped, transposed, resampled, normalized.
 *
 * @param id of the case
 * @param channels C
 * @param extents D, H, W
 * @param image float32, little-endian, (C, D, H, W); usually a mapped file
 * @param labels class of each voxel as int16, little-endian, (D, H, W); -1 outside the mask
 * @param locations for each class from 1 on: indices into {@code labels} of voxels of that class,
 *     all of them or a random part; an empty array for a class that the case does not have
 */
public record PreparedCase(
    String id,
    int channels,
    Extents extents,
    MemorySegment image,
    MemorySegment labels,
    List<int[]> locations) {
  public PreparedCase {
    locations = List.copyOf(locations);
  }
}
