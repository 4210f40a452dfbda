package org.unetrpp.sampling;

import org.jspecify.annotations.Nullable;
import org.unetrpp.augmentation.Augmenter;
import org.unetrpp.grid.Extents;

/**
 * How batches are made.
 *
 * @param batchSize B, at least 1
 * @param patch extents of the network's patch
 * @param foregroundShare share of a batch's samples that are sure to show foreground, from 0 to 1
 * @param augmenter transforms the samples; null for validation
 */
public record LoaderSettings(
    int batchSize, Extents patch, double foregroundShare, @Nullable Augmenter augmenter) {
  /** Checks the ranges. */
  public LoaderSettings {
    if (batchSize < 1) {
      throw new IllegalArgumentException("batchSize is " + batchSize + ", expected at least 1");
    }
    if (patch.depth() < 1 || patch.height() < 1 || patch.width() < 1) {
      throw new IllegalArgumentException("patch is " + patch + ", expected at least 1x1x1");
    }
    if (!(foregroundShare >= 0 && foregroundShare <= 1)) {
      throw new IllegalArgumentException(
          "foregroundShare is " + foregroundShare + ", expected a number from 0 to 1");
    }
  }

  /** Extents of what is cut from a case before it is augmented. */
  Extents cut() {
    return augmenter == null ? patch : augmenter.loaderExtents(patch);
  }

  /**
   * Whether the sample at a position of its batch is sure to show foreground: those from {@code B
   * (1 - foregroundShare)} on, rounded half to even.
   */
  boolean forcesForeground(int position) {
    return position >= Math.rint(batchSize * (1 - foregroundShare));
  }
}
