package org.unetrpp.figure;

import org.jspecify.annotations.Nullable;
import org.unetrpp.preview.IntensityWindow;
import org.unetrpp.preview.ViewDirection;

/**
 * What a figure shows and how.
 *
 * @param direction of the slices
 * @param slices how many at most, 1 or more
 * @param panelPixels of a panel's longest side, 128 to 2048
 * @param window of the slices; null for one that fits the image
 * @param whole whether to show whole slices even where the labels take a small part
 * @param projection whether to add a row of maximum intensities
 * @param palette colors of paper and ink
 */
public record FigureSettings(
    ViewDirection direction,
    int slices,
    int panelPixels,
    @Nullable IntensityWindow window,
    boolean whole,
    boolean projection,
    Palette palette) {
  /** Three axial slices and a projection, for print. */
  public static final FigureSettings DEFAULT =
      new FigureSettings(ViewDirection.AXIAL, 3, 320, null, false, true, Palette.LIGHT);

  /** Panels have to be large enough for their letters, and memory for the picture. */
  private static final int LEAST_PANEL = 128;

  private static final int LARGEST_PANEL = 2048;

  public FigureSettings {
    if (slices < 1) {
      throw new IllegalArgumentException("slices is " + slices + ", expected 1 or more");
    }
    if (panelPixels < LEAST_PANEL || panelPixels > LARGEST_PANEL) {
      throw new IllegalArgumentException(
          "panels of %d pixels, expected %d to %d"
              .formatted(panelPixels, LEAST_PANEL, LARGEST_PANEL));
    }
  }
}
