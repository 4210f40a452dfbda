package org.unetrpp.image;

import java.util.List;

/** Scales numbers in double precision and stores them as float, in one array after the other. */
final class ArraySink implements VoxelReader.Sink {
  private final List<float[]> arrays;
  private final double slope;
  private final double intercept;
  private int array;
  private int position;

  /**
   * @param arrays of one length, to be filled
   */
  ArraySink(List<float[]> arrays, double slope, double intercept) {
    this.arrays = arrays;
    this.slope = slope;
    this.intercept = intercept;
  }

  @Override
  public void accept(double[] values, int count) {
    int done = 0;
    while (done < count) {
      float[] target = arrays.get(array);
      int part = Math.min(count - done, target.length - position);
      store(values, done, target, part);
      done += part;
      position += part;
      if (position == target.length) {
        position = 0;
        array++;
      }
    }
  }

  private void store(double[] values, int from, float[] target, int count) {
    if (slope == 1 && intercept == 0) {
      for (int i = 0; i < count; i++) {
        target[position + i] = (float) values[from + i];
      }
    } else {
      for (int i = 0; i < count; i++) {
        target[position + i] = (float) (values[from + i] * slope + intercept);
      }
    }
  }
}
