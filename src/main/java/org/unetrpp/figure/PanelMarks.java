package org.unetrpp.figure;

import java.util.Locale;
import org.unetrpp.drawing.BitmapFont;
import org.unetrpp.drawing.Picture;

/** What lies at the edges of a panel, and how long its millimeters are. */
final class PanelMarks {
  private static final int INSET = 4;
  private static final int WHITE = 0xffffff;
  private static final int BLACK = 0x000000;
  private static final int BAR_HEIGHT = 4;

  /** A panel of fewer pixels has no room for marks. */
  private static final int LEAST_SIDE = 64;

  /** The longest bar as a share of the panel. */
  private static final double LONGEST_BAR = 0.35;

  private PanelMarks() {}

  /** Draws on the panel of a row whose upper left corner is given. */
  static void draw(Picture picture, FigureRow row, int left, int top) {
    if (Math.min(row.width(), row.height()) < LEAST_SIDE) {
      return;
    }
    int letterWidth = CaseFigure.DOT * BitmapFont.width("L");
    int right = left + row.width() - INSET - letterWidth;
    int bottom = top + row.height() - INSET - CaseFigure.TEXT_HEIGHT;
    int centerX = left + (row.width() - letterWidth) / 2;
    int centerY = top + (row.height() - CaseFigure.TEXT_HEIGHT) / 2;
    int[] xs = {left + INSET, right, centerX, centerX};
    int[] ys = {centerY, centerY, top + INSET, bottom};
    for (int edge = 0; edge < xs.length; edge++) {
      write(picture, row.letters().substring(edge, edge + 1), xs[edge], ys[edge]);
    }
    bar(picture, row, left + INSET, top + row.height() - INSET);
  }

  private static void bar(Picture picture, FigureRow row, int left, int bottom) {
    double millimeters = roundLength(LONGEST_BAR * row.width() / row.pixelsPerMillimeter());
    int length = (int) Math.round(millimeters * row.pixelsPerMillimeter());
    picture.fill(left, bottom - BAR_HEIGHT - 2, length + 2, BAR_HEIGHT + 2, BLACK);
    picture.fill(left + 1, bottom - BAR_HEIGHT - 1, length, BAR_HEIGHT, WHITE);
    String text = millimeters < 1 ? Double.toString(millimeters) : whole(millimeters);
    int dot = CaseFigure.DOT * BitmapFont.width(text + " mm") <= length ? CaseFigure.DOT : 1;
    int top = bottom - BAR_HEIGHT - 2 * INSET - dot * BitmapFont.HEIGHT;
    write(picture, text + " mm", left + 1, top, dot);
  }

  private static String whole(double millimeters) {
    return String.format(Locale.ROOT, "%.0f", millimeters);
  }

  /** The largest of 1, 2 and 5 times a power of ten up to a length in millimeters. */
  private static double roundLength(double most) {
    double power = Math.pow(10, Math.floor(Math.log10(most)));
    return most >= 5 * power ? 5 * power : most >= 2 * power ? 2 * power : power;
  }

  private static void write(Picture picture, String text, int x, int y) {
    write(picture, text, x, y, CaseFigure.DOT);
  }

  /** Writes in white with a black edge, to be read on any image. */
  private static void write(Picture picture, String text, int x, int y, int dot) {
    for (int dx = -1; dx <= 1; dx++) {
      for (int dy = -1; dy <= 1; dy++) {
        picture.write(text, x + dx, y + dy, dot, BLACK);
      }
    }
    picture.write(text, x, y, dot, WHITE);
  }
}
