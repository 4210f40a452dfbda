package org.unetrpp.pipeline;

import org.jspecify.annotations.Nullable;

/**
 * How one channel is normalized.
 *
 * @param name the modality, such as "CT"
 * @param scheme how
 * @param useMask whether voxels outside of the nonzero mask become 0 and, for {@link
 *     NormalizationScheme#NON_CT}, do not count
 * @param statistics of the training set; null where the scheme needs none
 */
public record ChannelPlan(
    String name,
    NormalizationScheme scheme,
    boolean useMask,
    @Nullable IntensityStatistics statistics) {
  /** Checks that a scheme that needs statistics has them. */
  public ChannelPlan {
    if (scheme.needsStatistics() && statistics == null) {
      throw new IllegalArgumentException(
          "channel %s is normalized by %s without statistics, expected those of its training set"
              .formatted(name, scheme));
    }
  }
}
