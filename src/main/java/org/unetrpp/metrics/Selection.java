package org.unetrpp.metrics;

/** Finds values by their rank without sorting all. */
final class Selection {
  private Selection() {}

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
