package org.unetrpp.metrics;

/**
 * How many voxels two masks agree on, and how many not.
 *
 * @param truePositives in both
 * @param falsePositives in the tested mask only
 * @param falseNegatives in the reference only
 * @param trueNegatives in neither
 */
public record Confusion(
    long truePositives, long falsePositives, long falseNegatives, long trueNegatives) {
  /** Two empty masks. */
  static Confusion ofEmptyMasks(long voxels) {
    return new Confusion(0, 0, 0, voxels);
  }

  /** Voxels of the tested mask. */
  public long testPositives() {
    return truePositives + falsePositives;
  }

  /** Voxels of the reference. */
  public long referencePositives() {
    return truePositives + falseNegatives;
  }

  /** Voxels outside of the tested mask. */
  public long testNegatives() {
    return trueNegatives + falseNegatives;
  }

  /** Voxels outside of the reference. */
  public long referenceNegatives() {
    return trueNegatives + falsePositives;
  }

  /** Voxels of the volume. */
  public long voxels() {
    return testPositives() + testNegatives();
  }
}
