package org.unetrpp.preview;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.unetrpp.drawing.BitmapFont;
import org.unetrpp.drawing.Colors;
import org.unetrpp.drawing.Picture;
import org.unetrpp.drawing.PngFile;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.inference.LabelMeasure;

/**
 * A picture of a segmentation at a glance: an axial, a coronal and a sagittal slice, each where the
 * most foreground is, seen as radiologists do (the patient's right at the left) and to scale, with
 * labels in their colors and a legend of their volumes. Needs no desktop, no fonts and no display.
 */
public final class Preview {
  /** Pixels of the longest side of the volume. */
  static final int LONGEST_SIDE = 384;

  /** Pixels around each slice, where letters say what lies there. */
  static final int MARGIN = 24;

  /** A slice has room of its own for its title, however narrow it is. */
  private static final int LEAST_CELL = 144;

  private static final int DOT = 2;
  private static final int LETTER_WIDTH = DOT * BitmapFont.width("L");
  private static final int LETTER_HEIGHT = DOT * BitmapFont.HEIGHT;
  private static final int LEGEND_ROW = 24;

  private static final int BACKGROUND = 0x101418;
  private static final int TEXT = 0xe0e4e8;
  private static final int LABEL_VALUES = 256;

  private final Volume image;
  private final LabelVolume labels;
  private final List<LabelMeasure> measures;
  private final IntensityWindow window;
  private final int[] colors;

  private Preview(Volume image, LabelVolume labels, List<LabelMeasure> measures) {
    this.image = image;
    this.labels = labels;
    this.measures = measures;
    this.window = IntensityWindow.of(image);
    this.colors = new int[LABEL_VALUES];
    Arrays.fill(colors, TEXT);
    for (LabelMeasure measure : measures) {
      colors[measure.label().value()] = Colors.parse(measure.label().color());
    }
  }

  /**
   * Writes a PNG file in one piece.
   *
   * @param image one channel, shown in gray
   * @param labels of the same extents
   * @param classes the labels to show in their colors and in the legend
   * @throws IllegalArgumentException if image and labels are not of the same extents
   */
  public static void write(Path target, Volume image, LabelVolume labels, List<LabelClass> classes)
      throws IOException {
    PngFile.write(target, draw(image, labels, classes));
  }

  /** The picture that {@link #write} writes. */
  static Picture draw(Volume image, LabelVolume labels, List<LabelClass> classes) {
    if (!image.extents().equals(labels.extents())) {
      throw new IllegalArgumentException(
          "labels of %s, expected %s as the image".formatted(labels.extents(), image.extents()));
    }
    return new Preview(image, labels, LabelMeasure.of(labels, classes)).draw();
  }

  private Picture draw() {
    List<Cell> cells =
        Arrays.stream(ViewDirection.values())
            .map(direction -> new Cell(direction.title(), view(direction.plane(image.geometry()))))
            .toList();
    int width = cells.stream().mapToInt(Cell::width).sum();
    int cellHeight =
        2 * MARGIN + cells.stream().mapToInt(cell -> cell.view.height()).max().orElse(0);
    Legend legend = new Legend(width);
    Picture picture = new Picture(width, cellHeight + legend.height(), BACKGROUND);
    int left = 0;
    for (Cell cell : cells) {
      drawCell(picture, left, cellHeight, cell);
      left += cell.width();
    }
    legend.drawOn(picture, cellHeight);
    return picture;
  }

  /** A slice with room for its title and letters. */
  private record Cell(String title, SliceView view) {
    int width() {
      return Math.max(LEAST_CELL, view.width() + 2 * MARGIN);
    }
  }

  private void drawCell(Picture picture, int cellLeft, int cellHeight, Cell cell) {
    SliceView view = cell.view;
    int left = cellLeft + (cell.width() - view.width()) / 2;
    int top = (cellHeight - view.height()) / 2;
    view.drawOn(picture, left, top, window, colors);
    int centerX = left + (view.width() - LETTER_WIDTH) / 2;
    int centerY = top + (view.height() - LETTER_HEIGHT) / 2;
    int gap = (MARGIN - LETTER_HEIGHT) / 2;
    int[] xs = {left - gap - LETTER_WIDTH, left + view.width() + gap, centerX, centerX};
    int[] ys = {centerY, centerY, top - gap - LETTER_HEIGHT, top + view.height() + gap};
    for (int edge = 0; edge < 4; edge++) {
      picture.write(
          view.plane().letters().substring(edge, edge + 1), xs[edge], ys[edge], DOT, TEXT);
    }
    picture.write(cell.title, cellLeft + gap, gap, 1, TEXT);
  }

  /** The slice with the most foreground, the middle one of several and of none. */
  private SliceView view(Plane plane) {
    Extents extents = image.extents();
    double scale = LONGEST_SIDE / longestMillimeters(extents, image.spacing());
    return new SliceView(
        image,
        labels,
        plane,
        fullestSlice(plane.through()),
        pixels(plane.columns(), scale),
        pixels(plane.rows(), scale));
  }

  private int pixels(int axis, double scale) {
    double millimeters = image.extents().along(axis) * image.spacing().along(axis);
    return Math.clamp(Math.round(millimeters * scale), 1, LONGEST_SIDE);
  }

  private static double longestMillimeters(Extents extents, Spacing spacing) {
    double longest = 0;
    for (int axis = 0; axis < 3; axis++) {
      longest = Math.max(longest, extents.along(axis) * spacing.along(axis));
    }
    return longest;
  }

  private int fullestSlice(int axis) {
    long[] counts = foregroundBySlice(axis);
    long most = Arrays.stream(counts).max().orElse(0);
    int[] fullest =
        IntStream.range(0, counts.length).filter(slice -> counts[slice] == most).toArray();
    return fullest[fullest.length / 2];
  }

  private long[] foregroundBySlice(int axis) {
    Extents extents = labels.extents();
    long[] counts = new long[extents.along(axis)];
    byte[] values = labels.labels();
    int voxel = 0;
    int[] index = new int[3];
    for (index[0] = 0; index[0] < extents.depth(); index[0]++) {
      for (index[1] = 0; index[1] < extents.height(); index[1]++) {
        for (index[2] = 0; index[2] < extents.width(); index[2]++) {
          if (values[voxel++] != 0) {
            counts[index[axis]]++;
          }
        }
      }
    }
    return counts;
  }

  /** The labels side by side, as many in a row as fit. */
  private final class Legend {
    private static final int SWATCH = LETTER_HEIGHT;

    private final int columns;
    private final int columnWidth;

    Legend(int width) {
      int widest =
          measures.stream().mapToInt(measure -> BitmapFont.width(text(measure))).max().orElse(0);
      columnWidth = MARGIN + SWATCH + LETTER_WIDTH + DOT * widest;
      columns = Math.max(1, (width - MARGIN) / columnWidth);
    }

    int height() {
      int rows = Math.ceilDiv(measures.size(), columns);
      return rows == 0 ? 0 : LEGEND_ROW * rows + MARGIN;
    }

    void drawOn(Picture picture, int top) {
      for (int i = 0; i < measures.size(); i++) {
        int x = MARGIN + columnWidth * (i % columns);
        int y = top + LEGEND_ROW * (i / columns);
        LabelMeasure measure = measures.get(i);
        picture.fill(x, y, SWATCH, SWATCH, Colors.parse(measure.label().color()));
        picture.write(text(measure), x + SWATCH + LETTER_WIDTH, y, DOT, TEXT);
      }
    }

    private static String text(LabelMeasure measure) {
      return String.format(
          Locale.ROOT, "%s %.2f ml", measure.label().name(), measure.milliliters());
    }
  }
}
