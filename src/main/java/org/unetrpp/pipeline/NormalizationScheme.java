package org.unetrpp.pipeline;

/** How the intensities of a channel are brought to a common scale. */
public enum NormalizationScheme {
  /** Clipped to the training set's percentiles, less its mean, divided by its deviation. */
  CT(true),
  /** Clipped as CT, then mean and deviation of this case's voxels strictly inside the bounds. */
  CT2(true),
  /** Mean and deviation of this case; for every modality that is not CT. */
  NON_CT(false);

  private final boolean needsStatistics;

  NormalizationScheme(boolean needsStatistics) {
    this.needsStatistics = needsStatistics;
  }

  /** Whether the scheme uses statistics of the training set. */
  public boolean needsStatistics() {
    return needsStatistics;
  }
}
