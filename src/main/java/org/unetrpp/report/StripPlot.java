package org.unetrpp.report;

import java.io.IOException;
import java.util.List;
import java.util.Locale;
import org.unetrpp.metrics.Distribution;

/**
 * A metric of several classes as SVG, a row a class: a point a case over a box from the lower to
 * the upper quartile with the median, and a line from the smallest to the largest value.
 */
final class StripPlot {
  private static final int LEFT = 190;
  private static final int RIGHT = 690;
  private static final int WIDTH = 720;
  private static final int ROW = 34;
  private static final int TOP = 8;
  private static final int AXIS = 40;
  private static final int BOX = 18;

  /** Longer names are cut and stand in full in the title. */
  private static final int LONGEST_NAME = 24;

  private static final int TICKS = 5;

  /** Points of cases that follow each other are this far above each other. */
  private static final int[] OFFSETS = {0, -5, 5, -8, 8, -3, 3};

  private final String title;
  private final List<Row> rows;
  private final double largest;
  private final double tick;

  /**
   * Values of one class.
   *
   * @param name of the class
   * @param color {@code #RRGGBB}
   * @param points of the cases
   */
  record Row(String name, String color, List<Point> points) {}

  /**
   * A value of one case.
   *
   * @param name of the case
   * @param value NaN is not drawn
   * @param text the value for people
   */
  record Point(String name, double value, String text) {}

  /**
   * @param title of the axis
   * @param share whether values are from 0 to 1
   */
  StripPlot(String title, boolean share, List<Row> rows) {
    this.title = title;
    this.rows = List.copyOf(rows);
    double most =
        rows.stream()
            .flatMap(row -> row.points().stream())
            .mapToDouble(Point::value)
            .filter(Double::isFinite)
            .max()
            .orElse(1);
    tick = share ? 0.2 : distance(Math.max(most, 1e-3));
    largest = share ? 1 : tick * Math.ceil(Math.max(most, 1e-3) / tick);
  }

  /** 1, 2 or 5 times a power of ten, at most {@link #TICKS} of which reach a value. */
  private static double distance(double most) {
    double power = Math.pow(10, Math.floor(Math.log10(most / TICKS)));
    for (int factor : new int[] {1, 2, 5}) {
      if (factor * power * TICKS >= most) {
        return factor * power;
      }
    }
    return 10 * power;
  }

  /** Writes the plot as an element. */
  void writeTo(Html html) throws IOException {
    int bottom = TOP + ROW * rows.size();
    html.raw(
        "<figure><svg role=\"img\" viewBox=\"0 0 %d %d\" aria-label=\"%s\">\n"
            .formatted(
                WIDTH, bottom + AXIS, Html.escape(title + " by class; values in the table")));
    for (int i = 0; i * tick <= largest * (1 + 1e-9); i++) {
      double value = i * tick;
      String x = x(value);
      html.raw(
          "<line class=\"grid\" x1=\"%s\" x2=\"%s\" y1=\"%d\" y2=\"%d\"/>"
              .formatted(x, x, TOP, bottom));
      html.raw(
          "<text class=\"tick\" x=\"%s\" y=\"%d\">%s</text>\n"
              .formatted(x, bottom + 16, label(value)));
    }
    html.raw(
        "<text class=\"tick\" x=\"%d\" y=\"%d\">%s</text>\n"
            .formatted((LEFT + RIGHT) / 2, bottom + 34, Html.escape(title)));
    for (int i = 0; i < rows.size(); i++) {
      write(html, rows.get(i), TOP + ROW * i + ROW / 2);
    }
    html.raw("</svg></figure>\n");
  }

  private void write(Html html, Row row, int center) throws IOException {
    html.raw(
        "<text class=\"name\" x=\"%d\" y=\"%d\">%s<title>%s</title></text>\n"
            .formatted(
                LEFT - 12, center + 4, Html.escape(cut(row.name())), Html.escape(row.name())));
    Distribution values =
        Distribution.of(row.points().stream().map(Point::value).filter(Double::isFinite).toList());
    if (values.count() > 0) {
      html.raw(
          "<line class=\"range\" x1=\"%s\" x2=\"%s\" y1=\"%d\" y2=\"%d\"/>"
              .formatted(x(values.smallest()), x(values.largest()), center, center));
      html.raw(
          "<rect class=\"box\" x=\"%s\" y=\"%d\" width=\"%s\" height=\"%d\"/>"
              .formatted(
                  x(values.lowerQuartile()),
                  center - BOX / 2,
                  number(pixel(values.upperQuartile()) - pixel(values.lowerQuartile())),
                  BOX));
      html.raw(
          "<line class=\"median\" x1=\"%s\" x2=\"%s\" y1=\"%d\" y2=\"%d\"/>\n"
              .formatted(
                  x(values.median()), x(values.median()), center - BOX / 2, center + BOX / 2));
    }
    for (int i = 0; i < row.points().size(); i++) {
      Point point = row.points().get(i);
      if (Double.isFinite(point.value())) {
        html.raw(
            "<circle class=\"point\" cx=\"%s\" cy=\"%d\" r=\"3.5\" fill=\"%s\"><title>%s: %s</title></circle>\n"
                .formatted(
                    x(point.value()),
                    center + OFFSETS[i % OFFSETS.length],
                    row.color(),
                    Html.escape(point.name()),
                    Html.escape(point.text())));
      }
    }
  }

  private static String cut(String name) {
    return name.length() <= LONGEST_NAME ? name : name.substring(0, LONGEST_NAME - 1) + "\u2026";
  }

  private double pixel(double value) {
    return LEFT + value / largest * (RIGHT - LEFT);
  }

  private String x(double value) {
    return number(pixel(value));
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }

  private String label(double value) {
    return String.format(Locale.ROOT, tick >= 1 ? "%.0f" : tick >= 0.1 ? "%.1f" : "%.3f", value);
  }
}
