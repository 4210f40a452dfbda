package org.unetrpp.backend.cuda;

import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.memory.Buffer;

/**
 * Tiles whose moments {@code kernels/statistics.cuh} merges.
 *
 * @param batch items
 * @param ofItem tiles of voxels of an item
 * @param ofChannels tiles of channels
 * @param channels of what is measured
 * @param mergedAtOnce so many tiles of an item the last block merges alone; of more, groups first
 */
record StatisticsTiles(int batch, int ofItem, int ofChannels, int channels, int mergedAtOnce) {
  /** Count, mean and squared deviations. */
  private static final long MOMENT_FLOATS = 3;

  /** Merging tiles in groups, however few they are. */
  StatisticsTiles(int batch, int ofItem, int ofChannels, int channels) {
    this(batch, ofItem, ofChannels, channels, 1);
  }

  /** Tiles that are merged first: as many as there are groups of them, or so. */
  private int group() {
    return ofItem <= mergedAtOnce ? 1 : Math.toIntExact(Math.round(Math.ceil(Math.sqrt(ofItem))));
  }

  /** Zeros that they need. */
  long tickets() {
    return batch + (long) batch * ofChannels * Math.ceilDiv(ofItem, group());
  }

  /** Floats of workspace that they need. */
  long moments() {
    return MOMENT_FLOATS * batch * ofItem * channels;
  }

  /**
   * Adds the arguments of a kernel that takes statistics.
   *
   * @param moments workspace
   * @param tickets address of zeros
   */
  KernelArguments add(
      KernelArguments arguments, GroupStatistics statistics, Buffer moments, long tickets) {
    return arguments
        .buffers(moments, statistics.gamma(), statistics.coefficients())
        .longs(tickets)
        .ints(ofItem, group(), channels / statistics.groups())
        .floats((float) statistics.epsilon());
  }
}
