package org.unetrpp.metrics;

import java.util.Arrays;

/** Finds values by their rank, and quantiles, without sorting all. */
final class Selection {
  private Selection() {}

  /** A quantile, linear between ranks; NaN of no values. Moves the values; no NaN among them. */
  static double quantile(double[] values, double share) {
    if (values.length == 0) {
      return Double.NaN;
    }
    double position = share * (values.length - 1);
    int rank = (int) position;
    double below = select(values, rank);
    double above = Arrays.stream(values, rank + 1, values.length).min().orElse(below);
    return below + (position - rank) * (above - below);
  }

  /**
   * The value of a rank; moves the values so that none before the rank is greater, and none after
   * it less.
   *
   * @param values no NaN
   * @param rank from 0
   */
  static double select(double[] values, int rank) {
    int low = 0;
    int high = values.length - 1;
    while (low < high) {
      double pivot = medianOfThree(values[low], values[(low + high) >>> 1], values[high]);
      int below = low;
      int above = high;
      for (int i = low; i <= above; ) {
        double value = values[i];
        if (value < pivot) {
          values[i] = values[below];
          values[below] = value;
          below++;
          i++;
        } else if (value > pivot) {
          values[i] = values[above];
          values[above] = value;
          above--;
        } else {
          i++;
        }
      }
      if (rank < below) {
        high = below - 1;
      } else if (rank > above) {
        low = above + 1;
      } else {
        return pivot;
      }
    }
    return values[low];
  }

  private static double medianOfThree(double a, double b, double c) {
    return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
  }
}
