package org.unetrpp.training;

import java.util.List;
import java.util.stream.IntStream;

/**
 * Validation batches of an epoch taken together.
 *
 * @param batches number of them
 * @param lossSum sum of their losses
 * @param truePositives voxels of each class that were found, (K)
 * @param falsePositives voxels taken for each class that are of another, (K)
 * @param falseNegatives voxels of each class taken for another, (K)
 */
public record ValidationTally(
    int batches,
    double lossSum,
    long[] truePositives,
    long[] falsePositives,
    long[] falseNegatives) {
  /** Checks that the counts are of one number of classes. */
  public ValidationTally {
    if (falsePositives.length != truePositives.length
        || falseNegatives.length != truePositives.length) {
      throw new IllegalArgumentException(
          "counts of %d, %d and %d classes"
              .formatted(truePositives.length, falsePositives.length, falseNegatives.length));
    }
  }

  /** No batches yet. */
  static ValidationTally none(int classes) {
    return new ValidationTally(0, 0, new long[classes], new long[classes], new long[classes]);
  }

  /** This and one more batch. */
  ValidationTally with(ValidationReport report) {
    return new ValidationTally(
        batches + 1,
        lossSum + report.loss(),
        sum(truePositives, report.truePositives()),
        sum(falsePositives, report.falsePositives()),
        sum(falseNegatives, report.falseNegatives()));
  }

  /** Mean loss of the batches, NaN if there are none. */
  double loss() {
    return lossSum / batches;
  }

  /** Dice of each foreground class over the voxels of all batches; NaN for one never seen. */
  List<Double> classDice() {
    return IntStream.range(1, truePositives.length).mapToObj(this::dice).toList();
  }

  /** Mean of {@link #classDice} without the classes never seen; NaN if none was. */
  double dice() {
    return classDice().stream()
        .mapToDouble(Double::doubleValue)
        .filter(dice -> !Double.isNaN(dice))
        .average()
        .orElse(Double.NaN);
  }

  private double dice(int c) {
    double found = 2.0 * truePositives[c];
    return found / (found + falsePositives[c] + falseNegatives[c]);
  }

  private static long[] sum(long[] a, long[] b) {
    if (a.length != b.length) {
      throw new IllegalArgumentException(
          "a validation report of %d classes, expected %d".formatted(b.length, a.length));
    }
    return IntStream.range(0, a.length).mapToLong(i -> a[i] + b[i]).toArray();
  }
}
