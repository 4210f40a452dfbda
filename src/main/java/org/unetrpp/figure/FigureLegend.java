package org.unetrpp.figure;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.unetrpp.drawing.BitmapFont;
import org.unetrpp.drawing.Colors;
import org.unetrpp.drawing.Picture;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.metrics.CaseEvaluation;
import org.unetrpp.metrics.Evaluation;
import org.unetrpp.metrics.Metric;
import org.unetrpp.metrics.Settings;
import org.unetrpp.metrics.Structure;
import org.unetrpp.metrics.Summary;

/** Classes with their colors and Dice, and what marks errors. */
final class FigureLegend {
  private static final int SWATCH = CaseFigure.TEXT_HEIGHT;

  /** Hatching needs more room than a color. */
  private static final int HATCHED_SWATCH = 2 * SWATCH;

  private static final int INDENT = SWATCH + CaseFigure.GAP;
  private static final int COLUMN_GAP = 3 * CaseFigure.GAP;

  private final List<LabelClass> classes;
  private final List<String> texts;
  private final List<Agreement> errors;
  private final String heading;
  private final Palette palette;
  private final int columns;
  private final int columnWidth;

  /**
   * @param width in pixels
   */
  FigureLegend(ComparedCase compared, int width, Palette palette) {
    this.palette = palette;
    classes = compared.classes();
    CaseEvaluation evaluation =
        Evaluation.of(
            compared.prediction(),
            compared.reference(),
            classes.stream().map(label -> Structure.of(label.name(), label.value())).toList(),
            Settings.DEFAULT.withoutDistances());
    texts =
        classes.stream()
            .map(label ->
                text(label.name(), evaluation.structure(label.name()).value(Metric.DICE), width))
            .toList();
    heading =
        classes.isEmpty()
            ? "No labels"
            : "Dice of the whole case, mean "
                + dice(Summary.of(List.of(evaluation)).mean(Metric.DICE).value());
    errors =
        Arrays.stream(Agreement.values())
            .filter(Agreement::isError)
            .filter(error -> error != Agreement.OTHER_CLASS || classes.size() > 1)
            .toList();
    int widest =
        texts.stream().mapToInt(text -> CaseFigure.DOT * BitmapFont.width(text)).max().orElse(0);
    columnWidth = Math.min(width, INDENT + widest);
    columns = Math.max(1, (width + COLUMN_GAP) / (columnWidth + COLUMN_GAP));
  }

  /** A name and its Dice, of which the name is cut where both are too wide. */
  private static String text(String name, double dice, int width) {
    String value = " " + dice(dice);
    int room = (width - INDENT) / CaseFigure.DOT - BitmapFont.width(value);
    return BitmapFont.fitting(name, room) + value;
  }

  private static String dice(double value) {
    return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.3f", value);
  }

  /** Rows of pixels that it takes. */
  int height() {
    return (2 + Math.ceilDiv(classes.size(), columns)) * CaseFigure.LINE + CaseFigure.GAP;
  }

  void drawOn(Picture picture, int left, int top) {
    int x = left;
    for (Agreement error : errors) {
      hatched(picture, x, top, error);
      write(picture, error.title(), x + HATCHED_SWATCH + CaseFigure.GAP, top);
      x += HATCHED_SWATCH + CaseFigure.GAP + textWidth(error.title()) + COLUMN_GAP;
    }
    int y = top + CaseFigure.LINE + CaseFigure.GAP;
    write(picture, heading, left, y);
    y += CaseFigure.LINE;
    int rows = Math.ceilDiv(classes.size(), columns);
    for (int i = 0; i < classes.size(); i++) { // down the columns
      int columnLeft = left + i / rows * (columnWidth + COLUMN_GAP);
      int rowTop = y + i % rows * CaseFigure.LINE;
      picture.fill(columnLeft, rowTop, SWATCH, SWATCH, Colors.parse(classes.get(i).color()));
      write(picture, texts.get(i), columnLeft + INDENT, rowTop);
    }
  }

  private static void hatched(Picture picture, int left, int top, Agreement error) {
    for (int dy = 0; dy < SWATCH; dy++) {
      for (int dx = 0; dx < HATCHED_SWATCH; dx++) {
        boolean edge = dx == 0 || dy == 0 || dx == HATCHED_SWATCH - 1 || dy == SWATCH - 1;
        int color =
            edge || error.isHatched(dx, dy)
                ? error.color()
                : Colors.mix(0, error.color(), CaseFigure.ERROR_OPACITY);
        picture.set(left + dx, top + dy, color);
      }
    }
  }

  private static int textWidth(String text) {
    return CaseFigure.DOT * BitmapFont.width(text);
  }

  private void write(Picture picture, String text, int x, int y) {
    picture.write(text, x, y, CaseFigure.DOT, palette.ink());
  }
}
