package org.unetrpp.cli;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.Set;
import org.unetrpp.metrics.Metric;
import org.unetrpp.metrics.Summary;
import org.unetrpp.recipe.PublishedFigures;
import org.unetrpp.recipe.PublishedRecipe;

/** The figures that the authors report beside those of an evaluation. */
final class PublishedComparison {
  private static final List<Metric> METRICS = List.of(Metric.DICE, Metric.HD95);

  private PublishedComparison() {}

  /** A table with a column for each source, and the sources below. */
  static String text(PublishedRecipe recipe, EvaluationReport report) {
    List<String> lines = new ArrayList<>();
    lines.add("");
    lines.add(
        "Beside what the authors report of their validation cases (%s)"
            .formatted(caseText(recipe.split(), report)));
    TextTable table = new TextTable(1);
    List<String> headings = new ArrayList<>(List.of("structure", "here"));
    for (int source = 0; source < recipe.published().size(); source++) {
      headings.add("published [%d]".formatted(source + 1));
    }
    table.add(headings);
    Summary summary = report.summary();
    for (Metric metric : METRICS) {
      summary
          .structures()
          .forEach(structure ->
              addRow(
                  table,
                  recipe.published(),
                  structure.structure().name(),
                  metric,
                  structure.mean(metric).value()));
      addRow(
          table, recipe.published(), PublishedFigures.MEAN, metric, summary.mean(metric).value());
    }
    lines.add(table.toString().stripTrailing());
    for (int source = 0; source < recipe.published().size(); source++) {
      lines.add("[%d] %s".formatted(source + 1, recipe.published().get(source).source()));
    }
    return String.join(System.lineSeparator(), lines) + System.lineSeparator();
  }

  private static void addRow(
      TextTable table,
      List<PublishedFigures> published,
      String structure,
      Metric metric,
      double value) {
    List<OptionalDouble> figures =
        published.stream().map(source -> source.figure(structure, metric)).toList();
    if (figures.stream().allMatch(OptionalDouble::isEmpty)) {
      return;
    }
    List<String> row = new ArrayList<>();
    row.add(structure + " " + (metric == Metric.DICE ? "Dice" : "HD95"));
    row.add(number(metric, value));
    figures.forEach(figure -> row.add(number(metric, figure.orElse(Double.NaN))));
    table.add(row);
  }

  private static String number(Metric metric, double value) {
    return Double.isNaN(value)
        ? "-"
        : String.format(Locale.ROOT, metric == Metric.DICE ? "%.4f" : "%.2f", value);
  }

  private static String caseText(PublishedRecipe.Split split, EvaluationReport report) {
    if (split.isEmpty()) {
      return "which these are is not published";
    }
    Set<String> known = new HashSet<>(split.validation());
    long among =
        report.cases().stream().filter(found -> known.contains(found.files().name())).count();
    return "%d of the %d are evaluated here, and %d others"
        .formatted(among, known.size(), report.cases().size() - among);
  }
}
