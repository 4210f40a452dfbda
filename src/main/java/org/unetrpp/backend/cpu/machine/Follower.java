package org.unetrpp.backend.cpu.machine;

/** What is done with neighboring voxels of a convolution's result, while they are in the cache. */
@FunctionalInterface
public interface Follower {
  /** Nothing. */
  Follower NONE = (_, _, _) -> {};

  /**
   * Takes some voxels.
   *
   * @param address of the first one's channels
   * @param firstVoxel its number in the batch
   */
  void accept(long address, long firstVoxel, int voxels);
}
