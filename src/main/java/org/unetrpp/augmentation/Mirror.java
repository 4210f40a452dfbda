package org.unetrpp.augmentation;

import org.unetrpp.grid.Extents;

/** Reverses axes, in place. */
final class Mirror {
  private Mirror() {}

  /**
   * Reverses axes of an image and its labels.
   *
   * @param mirrored which of the three axes
   */
  static void apply(Patch patch, boolean[] mirrored) {
    if (!mirrored[0] && !mirrored[1] && !mirrored[2]) {
      return;
    }
    float[] image = patch.image().clone();
    short[] labels = patch.labels().clone();
    Extents extents = patch.extents();
    int width = extents.width();
    for (int slice = 0; slice < extents.depth(); slice++) {
      for (int row = 0; row < extents.height(); row++) {
        int fromSlice = mirrored[0] ? extents.depth() - 1 - slice : slice;
        int fromRow = mirrored[1] ? extents.height() - 1 - row : row;
        int from = (fromSlice * extents.height() + fromRow) * width;
        int to = (slice * extents.height() + row) * width;
        copyRow(labels, from, patch.labels(), to, width, mirrored[2]);
        for (int channel = 0; channel < patch.channels(); channel++) {
          int first = channel * labels.length;
          copyRow(image, first + from, patch.image(), first + to, width, mirrored[2]);
        }
      }
    }
  }

  private static void copyRow(
      short[] source, int from, short[] target, int to, int width, boolean reversed) {
    if (reversed) {
      for (int column = 0; column < width; column++) {
        target[to + column] = source[from + width - 1 - column];
      }
    } else {
      System.arraycopy(source, from, target, to, width);
    }
  }

  private static void copyRow(
      float[] source, int from, float[] target, int to, int width, boolean reversed) {
    if (reversed) {
      for (int column = 0; column < width; column++) {
        target[to + column] = source[from + width - 1 - column];
      }
    } else {
      System.arraycopy(source, from, target, to, width);
    }
  }
}
