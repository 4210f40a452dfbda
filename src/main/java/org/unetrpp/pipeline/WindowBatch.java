package org.unetrpp.pipeline;

import java.util.List;
import org.unetrpp.grid.Extents;

/**
 * Windows that are predicted at once, each in every of some ways to mirror it.
 *
 * @param origins first voxels of the windows
 * @param mirrorings of each window
 */
record WindowBatch(List<Extents> origins, List<Mirroring> mirrorings) {
  /** Patches that go through the network. */
  int predictions() {
    return origins.size() * mirrorings.size();
  }
}
