package org.unetrpp.image;

/** Gathers statistics, tile by tile: the sums of tiles are summed, so that errors stay small. */
final class StatisticsSink implements VoxelReader.Sink {
  private final boolean complex;
  private final double slope;
  private final double intercept;
  private double min = Double.POSITIVE_INFINITY;
  private double max = Double.NEGATIVE_INFINITY;
  private double realSum;
  private double imaginarySum;
  private long finite;
  private long nonFinite;

  StatisticsSink(NiftiHeader header) {
    this.complex = header.voxelType().isComplex();
    // The standard leaves colors unscaled.
    this.slope = header.voxelType().isColor() ? 1 : header.slope();
    this.intercept = header.voxelType().isColor() ? 0 : header.intercept();
  }

  @Override
  public void accept(double[] values, int count) {
    if (complex) {
      acceptComplex(values, count);
    } else {
      acceptReal(values, count);
    }
  }

  VoxelStatistics result() {
    double smallest = finite > 0 ? min : Double.NaN;
    double largest = finite > 0 ? max : Double.NaN;
    return complex
        ? new VoxelStatistics.Complex(smallest, largest, realSum, imaginarySum, nonFinite)
        : new VoxelStatistics.Real(smallest, largest, realSum, nonFinite);
  }

  private void acceptReal(double[] values, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      double value = values[i] * slope + intercept;
      if (isFinite(value)) {
        min = Math.min(min, value);
        max = Math.max(max, value);
        sum += value;
      }
    }
    realSum += sum;
  }

  private void acceptComplex(double[] values, int count) {
    double reals = 0;
    double imaginaries = 0;
    for (int i = 0; i < count; i += 2) {
      double real = values[i] * slope + intercept;
      double imaginary = values[i + 1] * slope;
      double magnitude = Math.hypot(real, imaginary);
      if (isFinite(magnitude)) {
        min = Math.min(min, magnitude);
        max = Math.max(max, magnitude);
        reals += real;
        imaginaries += imaginary;
      }
    }
    realSum += reals;
    imaginarySum += imaginaries;
  }

  private boolean isFinite(double value) {
    boolean result = Double.isFinite(value);
    if (result) {
      finite++;
    } else {
      nonFinite++;
    }
    return result;
  }
}
