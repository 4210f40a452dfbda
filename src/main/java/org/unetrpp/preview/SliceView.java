package org.unetrpp.preview;

import org.unetrpp.drawing.Colors;
import org.unetrpp.drawing.Picture;
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
    int[] grays = PlaneGrays.slice(image, plane, slice).scaled(width, height, window);
    PixelLabels shown = PlaneLabels.slice(labels, plane, slice).scaled(width, height);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int color = grays[y * width + x];
        int label = shown.at(x, y);
        if (label != 0) {
          color = shown.isOutline(x, y) ? colors[label] : Colors.mix(color, colors[label], OPACITY);
        }
        picture.set(left + x, top + y, color);
      }
    }
  }
}
