package org.unetrpp.drawing;

import java.util.Arrays;

/** Pixels to draw on, {@code 0xRRGGBB}, row after row from the upper left corner. */
public final class Picture {
  private final int width;
  private final int height;
  private final int[] pixels;

  /** A picture of one color. */
  public Picture(int width, int height, int color) {
    this.width = width;
    this.height = height;
    this.pixels = new int[Math.multiplyExact(width, height)];
    Arrays.fill(pixels, color);
  }

  /** Pixels of a row. */
  public int width() {
    return width;
  }

  /** Number of rows. */
  public int height() {
    return height;
  }

  /** The color of a pixel. */
  public int at(int x, int y) {
    return pixels[index(x, y)];
  }

  /** Colors a pixel. */
  public void set(int x, int y, int color) {
    pixels[index(x, y)] = color;
  }

  /** Fills a rectangle; what of it is outside of the picture is left out. */
  public void fill(int x, int y, int rectangleWidth, int rectangleHeight, int color) {
    for (int row = Math.max(y, 0); row < Math.min(y + rectangleHeight, height); row++) {
      for (int column = Math.max(x, 0); column < Math.min(x + rectangleWidth, width); column++) {
        set(column, row, color);
      }
    }
  }

  /** Draws a straight line, two pixels thick; what of it is outside of the picture is left out. */
  public void line(int x0, int y0, int x1, int y1, int color) {
    int steps = Math.max(1, Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)));
    for (int i = 0; i <= steps; i++) {
      int x = x0 + (int) Math.round((double) (x1 - x0) * i / steps);
      int y = y0 + (int) Math.round((double) (y1 - y0) * i / steps);
      fill(x, y, 2, 2, color);
    }
  }

  /**
   * Writes a text; what of it is outside of the picture is left out.
   *
   * @param x of its left edge
   * @param y of its upper edge
   * @param dotSize pixels of a dot of the font along each axis
   */
  public void write(String text, int x, int y, int dotSize, int color) {
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
