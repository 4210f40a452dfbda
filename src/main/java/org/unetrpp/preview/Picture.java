package org.unetrpp.preview;

import java.util.Arrays;

/** Pixels to draw on, {@code 0xRRGGBB}, row after row from the upper left corner. */
final class Picture {
  private final int width;
  private final int height;
  private final int[] pixels;

  /** A picture of one color. */
  Picture(int width, int height, int color) {
    this.width = width;
    this.height = height;
    this.pixels = new int[Math.multiplyExact(width, height)];
    Arrays.fill(pixels, color);
  }

  int width() {
    return width;
  }

  int height() {
    return height;
  }

  int at(int x, int y) {
    return pixels[index(x, y)];
  }

  void set(int x, int y, int color) {
    pixels[index(x, y)] = color;
  }

  /** Fills a rectangle; what of it is outside of the picture is left out. */
  void fill(int x, int y, int rectangleWidth, int rectangleHeight, int color) {
    for (int row = Math.max(y, 0); row < Math.min(y + rectangleHeight, height); row++) {
      for (int column = Math.max(x, 0); column < Math.min(x + rectangleWidth, width); column++) {
        set(column, row, color);
      }
    }
  }

  /**
   * Writes a text; what of it is outside of the picture is left out.
   *
   * @param x of its left edge
   * @param y of its upper edge
   * @param dotSize pixels of a dot of the font along each axis
   */
  void write(String text, int x, int y, int dotSize, int color) {
    BitmapFont.forEachDot(
        text,
        (column, row) -> fill(x + column * dotSize, y + row * dotSize, dotSize, dotSize, color));
  }

  private int index(int x, int y) {
    if (x < 0 || x >= width || y < 0 || y >= height) {
      throw new IllegalArgumentException(
          "pixel (%d, %d), expected one of %d x %d".formatted(x, y, width, height));
    }
    return y * width + x;
  }
}
