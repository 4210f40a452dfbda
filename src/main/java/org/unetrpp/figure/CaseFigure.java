package org.unetrpp.figure;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.drawing.BitmapFont;
import org.unetrpp.drawing.Colors;
import org.unetrpp.drawing.Picture;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.preview.PixelLabels;
import org.unetrpp.preview.Plane;
import org.unetrpp.preview.PlaneBox;
import org.unetrpp.preview.ViewDirection;

/**
 * A segmentation beside its reference: rows of slices, each as image, reference, prediction and
 * errors, seen as radiologists do and to scale, with a legend of classes and their Dice. Needs no
 * desktop, no fonts and no display.
 */
public final class CaseFigure {
  /** Around the figure and between its parts. */
  static final int MARGIN = 16;

  /** Between panels. */
  static final int GAP = 8;

  static final int DOT = 2;
  static final int TEXT_HEIGHT = DOT * BitmapFont.HEIGHT;
  static final int LINE = TEXT_HEIGHT + GAP;

  /** Share of a class's color within its outline. */
  static final double OPACITY = 0.4;

  /** Share of an error's color between the lines of its hatching. */
  static final double ERROR_OPACITY = 0.55;

  /** A caption and the legend of errors fit into it. */
  private static final int LEAST_WIDTH = 640;

  /** The longest of the panels' titles fits into it. */
  private static final int LEAST_CELL = 128;

  private static final List<Agreement> AGREEMENTS = List.of(Agreement.values());
  private static final int COLORS = 256;
  private static final int BLACK = 0;

  private final ComparedCase compared;
  private final FigureSettings settings;
  private final int[] colors = new int[COLORS];

  private CaseFigure(ComparedCase compared, FigureSettings settings) {
    this.compared = compared;
    this.settings = settings;
    for (LabelClass label : compared.classes()) {
      colors[label.value()] = Colors.parse(label.color());
    }
  }

  /** What a panel shows over the image. */
  private enum Content {
    IMAGE("Image"),
    REFERENCE("Reference"),
    PREDICTION("Prediction"),
    ERRORS("Errors");

    private final String title;

    Content(String title) {
      this.title = title;
    }
  }

  /** The figure of a case. */
  public static Picture draw(ComparedCase compared, FigureSettings settings) {
    return new CaseFigure(compared, settings).draw();
  }

  private Picture draw() {
    List<FigureRow> rows = rows();
    List<Content> contents = new ArrayList<>(List.of(Content.values()));
    if (compared.image() == null) {
      contents.remove(Content.IMAGE);
    }
    int widest = rows.stream().mapToInt(FigureRow::width).max().orElse(0);
    int cell = Math.max(LEAST_CELL, widest);
    int panels = contents.size() * (cell + GAP) - GAP;
    int inner = Math.max(LEAST_WIDTH, panels);
    FigureLegend legend = new FigureLegend(compared, inner, settings.palette());
    int height = 3 * MARGIN + 2 * LINE + legend.height();
    for (FigureRow row : rows) {
      height += row.height() + GAP + LINE + GAP;
    }
    Picture picture = new Picture(inner + 2 * MARGIN, height, settings.palette().paper());
    write(picture, BitmapFont.fitting(compared.name(), inner / DOT), MARGIN, MARGIN);
    int top = 2 * MARGIN + LINE;
    int left = MARGIN + (inner - panels) / 2;
    for (int i = 0; i < contents.size(); i++) {
      String title = contents.get(i).title;
      write(
          picture,
          title,
          left + i * (cell + GAP) + (cell - DOT * BitmapFont.width(title)) / 2,
          top);
    }
    top += LINE;
    for (FigureRow row : rows) {
      for (int i = 0; i < contents.size(); i++) {
        int x = left + i * (cell + GAP) + (cell - row.width()) / 2;
        panel(picture, row, contents.get(i), x, top);
        if (i == 0) {
          PanelMarks.draw(picture, row, x, top);
        }
      }
      top += row.height() + GAP;
      write(picture, BitmapFont.fitting(row.caption(), inner / DOT), MARGIN, top);
      top += LINE + GAP;
    }
    legend.drawOn(picture, MARGIN, top);
    return picture;
  }

  private List<FigureRow> rows() {
    Plane plane = settings.direction().plane(compared.reference().geometry());
    PlaneBox box =
        settings.whole()
            ? Zoom.whole(compared.reference().extents(), plane)
            : Zoom.of(compared, plane);
    List<FigureRow> rows = new ArrayList<>();
    for (ChosenSlice slice : ChosenSlice.of(compared, plane, settings.slices())) {
      rows.add(FigureRow.slice(compared, settings, slice, box));
    }
    if (settings.projection()) {
      ViewDirection across =
          settings.direction() == ViewDirection.CORONAL
              ? ViewDirection.SAGITTAL
              : ViewDirection.CORONAL;
      rows.add(FigureRow.projection(compared, settings, across));
    }
    return rows;
  }

  private void write(Picture picture, String text, int x, int y) {
    picture.write(text, x, y, DOT, settings.palette().ink());
  }

  private void panel(Picture picture, FigureRow row, Content content, int left, int top) {
    int[] grays = row.grays();
    PixelLabels agreements = agreements(row);
    for (int y = 0; y < row.height(); y++) {
      for (int x = 0; x < row.width(); x++) {
        int gray = grays == null ? BLACK : grays[y * row.width() + x];
        int color =
            switch (content) {
              case IMAGE -> gray;
              case REFERENCE -> labeled(gray, row.reference(), x, y);
              case PREDICTION -> labeled(gray, row.prediction(), x, y);
              case ERRORS -> judged(gray, row, agreements, x, y);
            };
        picture.set(left + x, top + y, color);
      }
    }
  }

  private int labeled(int gray, PixelLabels labels, int x, int y) {
    int label = labels.at(x, y);
    if (label == 0) {
      return gray;
    }
    return labels.isOutline(x, y) ? colors[label] : Colors.mix(gray, colors[label], OPACITY);
  }

  private int judged(int gray, FigureRow row, PixelLabels agreements, int x, int y) {
    Agreement agreement = AGREEMENTS.get(agreements.at(x, y));
    if (agreement == Agreement.BACKGROUND) {
      return gray;
    }
    if (agreement == Agreement.RIGHT) {
      return Colors.mix(gray, colors[row.reference().at(x, y)], OPACITY);
    }
    return agreements.isOutline(x, y) || agreement.isHatched(x, y)
        ? agreement.color()
        : Colors.mix(gray, agreement.color(), ERROR_OPACITY);
  }

  /** The place in {@link #AGREEMENTS} of what each pixel shows. */
  private static PixelLabels agreements(FigureRow row) {
    int[] values = new int[row.width() * row.height()];
    for (int i = 0; i < values.length; i++) {
      Agreement agreement = Agreement.of(row.reference().values()[i], row.prediction().values()[i]);
      values[i] = AGREEMENTS.indexOf(agreement);
    }
    return new PixelLabels(row.width(), row.height(), values);
  }
}
