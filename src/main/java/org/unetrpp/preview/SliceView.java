package org.unetrpp.preview;

import org.unetrpp.drawing.Picture;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Volume;

/**
 * One slice of an image with its labels, scaled to pixels.
 *
 * @param image intensities
 * @param labels on the same grid
 * @param plane which way to look
 * @param slice index along the axis that stands on the plane
 * @param width in pixels
 * @param height in pixels
 */
record SliceView(Volume image, LabelVolume labels, Plane plane, int slice, int width, int height) {
  /** Share of a label's color within its outline. */
  static final double OPACITY = 0.35;

  /**
   * Draws the slice with its upper left corner at a pixel: intensities interpolated linearly,
   * labels from the closest voxel, in their color at the outline and mixed with the image within.
   *
   * @param colors by label; 0 is not drawn
   */
  void drawOn(Picture picture, int left, int top, IntensityWindow window, int[] colors) {
    int[] shown = shownLabels();
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int gray = window.gray(intensity(x, y));
        int color = gray << 16 | gray << 8 | gray;
        int label = shown[y * width + x];
        if (label != 0) {
          color = isOutline(shown, x, y) ? colors[label] : mix(color, colors[label]);
        }
        picture.set(left + x, top + y, color);
      }
    }
  }

  /** The label of each pixel. */
  private int[] shownLabels() {
    int[] shown = new int[width * height];
    for (int y = 0; y < height; y++) {
      int row = (int) ((y + 0.5) * rowCount() / height);
      for (int x = 0; x < width; x++) {
        int column = (int) ((x + 0.5) * columnCount() / width);
        byte label = labels.labels()[plane.voxel(extents(), slice, column, row)];
        shown[y * width + x] = Byte.toUnsignedInt(label);
      }
    }
    return shown;
  }

  private double intensity(int x, int y) {
    double column = position(x, width, columnCount());
    double row = position(y, height, rowCount());
    int c = (int) column;
    int r = (int) row;
    int nextC = Math.min(c + 1, columnCount() - 1);
    int nextR = Math.min(r + 1, rowCount() - 1);
    double upper = between(voxel(c, r), voxel(nextC, r), column - c);
    double lower = between(voxel(c, nextR), voxel(nextC, nextR), column - c);
    return between(upper, lower, row - r);
  }

  private float voxel(int column, int row) {
    return image.voxels()[plane.voxel(extents(), slice, column, row)];
  }

  private static double between(double from, double to, double fraction) {
    return from + (to - from) * fraction;
  }

  /** Where the center of a pixel lies between the centers of voxels. */
  private static double position(int pixel, int pixels, int voxels) {
    return Math.clamp((pixel + 0.5) * voxels / pixels - 0.5, 0, voxels - 1);
  }

  /** Whether a pixel beside this one has another label. */
  private boolean isOutline(int[] shown, int x, int y) {
    int pixel = y * width + x;
    int label = shown[pixel];
    return (x > 0 && shown[pixel - 1] != label)
        || (x + 1 < width && shown[pixel + 1] != label)
        || (y > 0 && shown[pixel - width] != label)
        || (y + 1 < height && shown[pixel + width] != label);
  }

  private static int mix(int color, int labelColor) {
    int mixed = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
      double channel = between(color >> shift & 0xff, labelColor >> shift & 0xff, OPACITY);
      mixed |= (int) Math.round(channel) << shift;
    }
    return mixed;
  }

  private int columnCount() {
    return extents().along(plane.columns());
  }

  private int rowCount() {
    return extents().along(plane.rows());
  }

  private Extents extents() {
    return image.extents();
  }
}
