package org.unetrpp.metrics;

import org.unetrpp.image.Spacing;

/** The unit of distances, and what counts where a metric is undefined. */
public enum Convention {
  /**
   * Distances in millimeters. What is undefined is NaN and left out of means; distances are
   * undefined where one of the masks is empty or fills the volume. So does the published evaluator.
   */
  MILLIMETERS("mm"),

  /**
   * Distances in voxels, whatever their spacing. Where both masks are empty Dice is 1; where any is
   * empty HD95 is 0. So do the published stand-alone scripts.
   */
  VOXELS("voxels");

  private final String unit;

  Convention(String unit) {
    this.unit = unit;
  }

  /** The unit of distances, for people. */
  public String unit() {
    return unit;
  }

  /** The distance of neighboring voxels in the unit of distances. */
  Spacing sampling(Spacing spacing) {
    return switch (this) {
      case MILLIMETERS -> spacing;
      case VOXELS -> new Spacing(1, 1, 1);
    };
  }

  /** Whether there are distances between two masks. */
  boolean hasDistances(Confusion confusion) {
    boolean someOfBoth = confusion.testPositives() > 0 && confusion.referencePositives() > 0;
    boolean allOfOne = confusion.testNegatives() == 0 || confusion.referenceNegatives() == 0;
    return someOfBoth && (this == VOXELS || !allOfOne);
  }

  /** What counts for a metric that is undefined. */
  double valueOfUndefined(Metric metric) {
    return switch (this) {
      case MILLIMETERS -> Double.NaN;
      case VOXELS ->
          switch (metric) {
            case DICE -> 1;
            case HD95 -> 0;
            default -> Double.NaN;
          };
    };
  }
}
