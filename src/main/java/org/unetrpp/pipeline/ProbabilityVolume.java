package org.unetrpp.pipeline;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * Probabilities of every class at every voxel that the network saw.
 *
 * @param classes a volume of (D, H, W) floats for each class, background first, which live as long
 *     as the arena they came from
 * @param extents size of each volume in voxels
 */
public record ProbabilityVolume(List<MemorySegment> classes, Extents extents) {
  /** Checks the size of each volume. */
  public ProbabilityVolume {
    classes = List.copyOf(classes);
    for (int label = 0; label < classes.size(); label++) {
      long bytes = classes.get(label).byteSize();
      if (bytes != extents.voxels() * Float.BYTES) {
        throw new IllegalArgumentException(
            "class %d has %d bytes, expected %d for %s floats"
                .formatted(label, bytes, extents.voxels() * Float.BYTES, extents));
      }
    }
  }
}
