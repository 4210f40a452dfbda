package org.unetrpp.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import org.unetrpp.metrics.CaseEvaluation;
import org.unetrpp.metrics.Distribution;
import org.unetrpp.metrics.Metric;
import org.unetrpp.metrics.Settings;
import org.unetrpp.metrics.Structure;
import org.unetrpp.metrics.StructureEvaluation;

/**
 * An evaluation as one HTML page: classes, cases from the worst to the best with figures, all
 * values, and what they were made with. It loads nothing, is well-formed XML, and can be read
 * without scripts. Figures are made one at a time while the page is written.
 *
 * @param cases over the same structures, at least one
 * @param colors {@code #RRGGBB} of the structures, in their order
 * @param failures what is wrong with each case that could not be evaluated
 * @param origin what the page was made with, from what
 */
public record EvaluationPage(
    List<Case> cases, List<String> colors, List<String> failures, List<Entry> origin) {
  private static final String TITLE = "Segmentation evaluation";
  private static final List<Metric> COLUMNS =
      List.of(Metric.DICE, Metric.HD95, Metric.SURFACE_DICE, Metric.VOLUME_ERROR_ML);
  private static final String NONE = "-";

  /**
   * A case.
   *
   * @param name of the case
   * @param evaluation of it
   */
  public record Case(String name, CaseEvaluation evaluation) {
    /** Mean Dice of the structures for which it is defined, NaN without any. */
    double meanDice() {
      return Distribution.of(
              evaluation.structures().stream().map(s -> s.value(Metric.DICE)).toList())
          .mean();
    }

    /** The structure with the lowest Dice, if it is defined for any. */
    Optional<StructureEvaluation> worst() {
      return evaluation.structures().stream()
          .filter(structure -> !Double.isNaN(structure.value(Metric.DICE)))
          .min(Comparator.comparingDouble(structure -> structure.value(Metric.DICE)));
    }
  }

  /** A line of the page's origin. */
  public record Entry(String name, String value) {}

  /** Draws figures, for a case at a time. */
  @FunctionalInterface
  public interface Figures {
    /**
     * The PNG file of a case.
     *
     * @throws IOException if it cannot be drawn; the page then says why
     */
    byte[] png(Case drawn) throws IOException;
  }

  public EvaluationPage {
    cases = List.copyOf(cases);
    colors = List.copyOf(colors);
    failures = List.copyOf(failures);
    origin = List.copyOf(origin);
  }

  /**
   * Writes the page in UTF-8.
   *
   * @param figureCount of the worst cases, how many have a figure
   */
  public void writeTo(OutputStream stream, Figures figures, int figureCount) throws IOException {
    Writer out = new OutputStreamWriter(stream, StandardCharsets.UTF_8);
    Html html = new Html(out);
    List<Case> worstFirst = worstFirst();
    html.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    html.element("title", TITLE)
        .raw("<style>\n")
        .raw(resource("page.css"))
        .raw("</style></head>\n");
    html.raw("<body><main>\n").element("h1", TITLE);
    html.element(
        "p",
        "%d case%s, %d class%s"
            .formatted(
                cases.size(), cases.size() == 1 ? "" : "s",
                structures().size(), structures().size() == 1 ? "" : "es"));
    writeFailures(html);
    for (Metric metric : COLUMNS) {
      writeMetric(html, metric);
    }
    html.element(
        "p",
        "n is the number of cases that count. "
            + undefinedRule()
            + " In the plots a point is a case; the box reaches from the lower to the upper quartile"
            + " around the median, the line from the smallest to the largest value.");
    writeCases(html, worstFirst);
    writeFigures(html, worstFirst.subList(0, Math.min(figureCount, cases.size())), figures);
    writeValues(html);
    writeConventions(html);
    writeOrigin(html);
    html.raw("</main>\n<script>\n").raw(resource("page.js")).raw("</script></body></html>\n");
    out.flush();
  }

  private List<Structure> structures() {
    return cases.getFirst().evaluation().structures().stream()
        .map(StructureEvaluation::structure)
        .toList();
  }

  private Settings settings() {
    return cases.getFirst().evaluation().settings();
  }

  /** By mean Dice; cases without any are last. */
  private List<Case> worstFirst() {
    return cases.stream()
        .sorted(Comparator.comparingDouble(Case::meanDice).thenComparing(Case::name))
        .toList();
  }

  private void writeFailures(Html html) throws IOException {
    if (failures.isEmpty()) {
      return;
    }
    html.raw("<section class=\"failures\">\n");
    html.element("h2", "Not evaluated").raw("<ul>\n");
    for (String failure : failures) {
      html.element("li", failure);
    }
    html.raw("</ul></section>\n");
  }

  private void writeMetric(Html html, Metric metric) throws IOException {
    html.raw("<section>\n").element("h2", heading(metric));
    html.beginTable(
        heading(metric) + " over cases",
        1,
        List.of("Class", "mean", "median", "standard deviation", "smallest", "largest", "n"));
    for (Structure structure : structures()) {
      Distribution values =
          Distribution.of(
              cases.stream()
                  .map(c -> c.evaluation().structure(structure.name()).value(metric))
                  .toList());
      html.row(
          1,
          List.of(
              structure.name(),
              number(metric, values.mean()),
              number(metric, values.median()),
              deviation(metric, values.deviation()),
              number(metric, values.smallest()),
              number(metric, values.largest()),
              Integer.toString(values.count())));
    }
    html.endTable();
    if (metric != Metric.VOLUME_ERROR_ML) { // has no scale from 0
      plot(metric).writeTo(html);
    }
    html.raw("</section>\n");
  }

  private StripPlot plot(Metric metric) {
    List<StripPlot.Row> rows = new ArrayList<>();
    for (int i = 0; i < structures().size(); i++) {
      String name = structures().get(i).name();
      List<StripPlot.Point> points = new ArrayList<>();
      for (Case evaluated : cases) {
        double value = evaluated.evaluation().structure(name).value(metric);
        points.add(new StripPlot.Point(evaluated.name(), value, number(metric, value)));
      }
      rows.add(new StripPlot.Row(name, colors.get(i), points));
    }
    return new StripPlot(heading(metric), !metric.isDistance(), rows);
  }

  private void writeCases(Html html, List<Case> worstFirst) throws IOException {
    html.raw("<section>\n").element("h2", "Cases, worst first");
    html.beginTable("By mean Dice", 2, List.of("Case", "Lowest class", "its Dice", "mean Dice"));
    for (Case evaluated : worstFirst) {
      Optional<StructureEvaluation> worst = evaluated.worst();
      html.row(
          2,
          List.of(
              evaluated.name(),
              worst.map(w -> w.structure().name()).orElse(NONE),
              worst.map(w -> number(Metric.DICE, w.value(Metric.DICE))).orElse(NONE),
              number(Metric.DICE, evaluated.meanDice())));
    }
    html.endTable().raw("</section>\n");
  }

  private static void writeFigures(Html html, List<Case> shown, Figures figures)
      throws IOException {
    if (shown.isEmpty()) {
      return;
    }
    html.raw("<section>\n").element("h2", "Figures of the worst cases");
    for (Case evaluated : shown) {
      html.element("h3", evaluated.name());
      byte[] png;
      try {
        png = figures.png(evaluated);
      } catch (IOException e) {
        html.element("p", "No figure: " + e.getMessage());
        continue;
      }
      String text =
          "Slices of %s: reference, prediction and their errors; mean Dice %s"
              .formatted(evaluated.name(), number(Metric.DICE, evaluated.meanDice()));
      html.raw("<img alt=\"" + Html.escape(text) + "\" src=\"data:image/png;base64,");
      html.raw(Base64.getEncoder().encodeToString(png)).raw("\"/>\n");
    }
    html.raw("</section>\n");
  }

  private void writeValues(Html html) throws IOException {
    html.raw("<section>\n").element("h2", "All values");
    List<String> headings = new ArrayList<>(List.of("Case", "Class"));
    COLUMNS.forEach(metric -> headings.add(heading(metric)));
    html.beginTable("A line a case and class", 2, headings);
    for (Case evaluated : cases) {
      for (StructureEvaluation structure : evaluated.evaluation().structures()) {
        List<String> cells =
            new ArrayList<>(List.of(evaluated.name(), structure.structure().name()));
        COLUMNS.forEach(metric -> cells.add(number(metric, structure.value(metric))));
        html.row(2, cells);
      }
    }
    html.endTable().raw("</section>\n");
  }

  private void writeConventions(Html html) throws IOException {
    html.raw("<section>\n").element("h2", "Conventions").raw("<ul>\n");
    html.element("li", "Dice is 2 TP / (2 TP + FP + FN), in voxels.");
    html.element(
        "li",
        ("Distances are in %s, between surface voxels (6 neighbors); HD95 is the 95th percentile "
                + "of both directions pooled, linear between ranks.")
            .formatted(settings().convention().unit()));
    html.element(
        "li",
        "Surface Dice counts surface voxels within %s %s of the other surface."
            .formatted(shortest(settings().tolerance()), settings().convention().unit()));
    html.element("li", "The volume error is that of the prediction less that of the reference.");
    html.element("li", undefinedRule());
    html.element("li", "The standard deviation is that of a sample (n - 1).");
    html.element("li", "The mean Dice of a case is that of the classes for which it is defined.");
    html.raw("</ul></section>\n");
  }

  private String undefinedRule() {
    return switch (settings().convention()) {
      case MILLIMETERS ->
          "Undefined values, shown as -, do not count: Dice where a class is in "
              + "neither volume, distances and surface Dice where it is missing in one or fills it.";
      case VOXELS ->
          "Where a class is in neither volume Dice counts as 1; where it is missing in one HD95 "
              + "counts as 0. Surface Dice, shown as -, does not count there.";
    };
  }

  private void writeOrigin(Html html) throws IOException {
    html.raw("<section>\n").element("h2", "Made with").raw("<dl>\n");
    for (Entry entry : origin) {
      html.element("dt", entry.name()).element("dd", entry.value());
    }
    html.raw("</dl></section>\n");
  }

  private String heading(Metric metric) {
    String unit = settings().convention().unit();
    return switch (metric) {
      case DICE -> "Dice";
      case HD95 -> "HD95 (" + unit + ")";
      case SURFACE_DICE -> "Surface Dice (%s %s)".formatted(shortest(settings().tolerance()), unit);
      case VOLUME_ERROR_ML -> "Volume error (ml)";
      default -> metric.key();
    };
  }

  private static String number(Metric metric, double value) {
    return format(metric == Metric.VOLUME_ERROR_ML ? "%+.2f" : places(metric), value);
  }

  private static String deviation(Metric metric, double value) {
    return format(places(metric), value);
  }

  private static String places(Metric metric) {
    return metric == Metric.DICE || metric == Metric.SURFACE_DICE ? "%.4f" : "%.2f";
  }

  private static String format(String pattern, double value) {
    return Double.isNaN(value) ? NONE : String.format(Locale.ROOT, pattern, value);
  }

  private static String shortest(double value) {
    return value == Math.rint(value) ? Long.toString((long) value) : Double.toString(value);
  }

  private static String resource(String name) throws IOException {
    try (InputStream in =
        Objects.requireNonNull(EvaluationPage.class.getResourceAsStream(name), name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
