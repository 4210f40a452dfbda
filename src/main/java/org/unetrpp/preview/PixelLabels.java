package org.unetrpp.preview;

/**
 * A number for each pixel.
 *
 * @param width pixels of a row
 * @param height number of rows
 * @param values (height, width)
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record PixelLabels(int width, int height, int[] values) {
  /** The number of a pixel. */
  public int at(int x, int y) {
    return values[y * width + x];
  }

  /** Whether a pixel beside this one has another number. */
  public boolean isOutline(int x, int y) {
    int value = at(x, y);
    return (x > 0 && at(x - 1, y) != value)
        || (x + 1 < width && at(x + 1, y) != value)
        || (y > 0 && at(x, y - 1) != value)
        || (y + 1 < height && at(x, y + 1) != value);
  }
}
