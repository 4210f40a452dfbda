package org.unetrpp.cli;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.unetrpp.metrics.CaseEvaluation;
import org.unetrpp.metrics.Convention;
import org.unetrpp.metrics.Metric;
import org.unetrpp.metrics.RegionTable;
import org.unetrpp.metrics.Settings;
import org.unetrpp.metrics.Structure;
import org.unetrpp.metrics.StructureEvaluation;
import org.unetrpp.metrics.Summary;
import org.unetrpp.metrics.Summary.Mean;
import org.unetrpp.metrics.Summary.StructureSummary;

/**
 * What was evaluated, as a table for people, CSV and JSON.
 *
 * @param cases over the same structures
 * @param summary of them
 * @param failures what is wrong with each case or file that could not be evaluated
 */
record EvaluationReport(List<EvaluatedCase> cases, Summary summary, List<String> failures) {
  private static final List<Metric> COLUMNS =
      List.of(Metric.DICE, Metric.HD95, Metric.SURFACE_DICE, Metric.VOLUME_ERROR_ML);

  private static final String OVERALL = "mean";

  /**
   * A report over all structures that were asked for or, if none were, found in any case.
   *
   * @param cases at least one
   */
  static EvaluationReport of(
      List<EvaluatedCase> cases, List<Structure> asked, List<String> failures) {
    List<Structure> structures = asked.isEmpty() ? found(cases) : asked;
    List<EvaluatedCase> alike =
        cases.stream()
            .map(c -> new EvaluatedCase(c.files(), c.evaluation().over(structures)))
            .toList();
    Summary summary = Summary.of(alike.stream().map(EvaluatedCase::evaluation).toList());
    return new EvaluationReport(alike, summary, List.copyOf(failures));
  }

  /** Classes of one label each, in its order. */
  private static List<Structure> found(List<EvaluatedCase> cases) {
    SortedMap<Integer, Structure> structures = new TreeMap<>();
    for (EvaluatedCase evaluated : cases) {
      for (StructureEvaluation evaluation : evaluated.evaluation().structures()) {
        structures.put(evaluation.structure().labels().first(), evaluation.structure());
      }
    }
    return List.copyOf(structures.values());
  }

  /**
   * Means over cases, a line a structure; where a value is undefined in some cases, the number of
   * those that count stands behind it.
   *
   * @param each whether to show every case before
   */
  String table(boolean each) {
    TextTable means = new TextTable(1);
    means.add(headings("structure"));
    for (StructureSummary structure : summary.structures()) {
      means.add(row(structure.structure().name(), m -> mean(m, structure.mean(m))));
    }
    means.add(row(OVERALL, m -> number(m, summary.mean(m).value())));
    String title = "Mean of %d case%s%n".formatted(cases.size(), cases.size() == 1 ? "" : "s");
    return (each ? caseTable() + System.lineSeparator() : "") + title + means;
  }

  private String caseTable() {
    TextTable table = new TextTable(2);
    table.add(prepend("case", headings("structure")));
    for (EvaluatedCase evaluated : cases) {
      for (StructureEvaluation structure : evaluated.evaluation().structures()) {
        List<String> row = row(structure.structure().name(), m -> number(m, structure.value(m)));
        table.add(prepend(evaluated.files().name(), row));
      }
    }
    return table.toString();
  }

  private List<String> headings(String first) {
    String unit = summary.settings().convention().unit();
    String tolerance = shortest(summary.settings().tolerance());
    return List.of(
        first,
        "Dice",
        "HD95 (%s)".formatted(unit),
        "surface Dice (%s %s)".formatted(tolerance, unit),
        "volume error (ml)");
  }

  private static List<String> row(String name, Function<Metric, String> value) {
    return prepend(name, COLUMNS.stream().map(value).toList());
  }

  private static List<String> prepend(String first, List<String> others) {
    return Stream.concat(Stream.of(first), others.stream()).toList();
  }

  private String mean(Metric metric, Mean mean) {
    String text = number(metric, mean.value());
    return mean.count() == cases.size() ? text : text + " (" + mean.count() + ")";
  }

  private static String number(Metric metric, double value) {
    if (Double.isNaN(value)) {
      return "-";
    }
    String format =
        switch (metric) {
          case DICE, SURFACE_DICE -> "%.4f";
          case VOLUME_ERROR_ML -> "%+.2f";
          default -> "%.2f";
        };
    return String.format(Locale.ROOT, format, value);
  }

  /** A line for each case and structure; NaN is what is undefined. */
  String csv() {
    String unit = summary.settings().convention().unit();
    Stream<String> metrics =
        summary.settings().metrics().stream()
            .map(metric -> metric.key() + (metric.isDistance() ? "_" + unit : ""));
    List<String> lines = new ArrayList<>();
    lines.add(
        Stream.concat(Stream.of("case", "structure", "labels"), metrics)
            .collect(Collectors.joining(",")));
    for (EvaluatedCase evaluated : cases) {
      for (StructureEvaluation evaluation : evaluated.evaluation().structures()) {
        Structure structure = evaluation.structure();
        Stream<String> values =
            evaluation.values().values().stream().map(EvaluationReport::shortest);
        lines.add(
            Stream.concat(
                    Stream.of(
                        quoted(evaluated.files().name()),
                        quoted(structure.name()),
                        labels(structure)),
                    values)
                .collect(Collectors.joining(",")));
      }
    }
    return String.join("\n", lines) + "\n";
  }

  /** Dice by case and structure as the published region-based evaluation writes it. */
  String regionCsv() {
    SequencedMap<String, CaseEvaluation> evaluations = new LinkedHashMap<>();
    cases.forEach(evaluated -> evaluations.put(evaluated.files().name(), evaluated.evaluation()));
    return RegionTable.csv(evaluations);
  }

  private static String labels(Structure structure) {
    return structure.labels().stream().map(String::valueOf).collect(Collectors.joining("+"));
  }

  /** A cell of a CSV file. */
  static String quoted(String text) {
    return text.matches("(?s).*[,\"\r\n].*") ? '"' + text.replace("\"", "\"\"") + '"' : text;
  }

  /** The shortest text that reads as the same number; counts without a point. */
  private static String shortest(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(value);
  }

  /** All values, those of every case and the means; null is what is undefined. */
  String json() {
    JsonObject report = new JsonObject();
    report.add("conventions", conventions(summary.settings()));
    JsonArray structures = new JsonArray();
    for (StructureSummary structure : summary.structures()) {
      structures.add(describe(structure.structure()));
    }
    report.add("structures", structures);
    JsonArray all = new JsonArray();
    cases.forEach(evaluated -> all.add(describe(evaluated)));
    report.add("cases", all);
    JsonObject means = new JsonObject();
    for (StructureSummary structure : summary.structures()) {
      means.add(structure.structure().name(), describe(structure.means()));
    }
    report.add("means", means);
    report.add("overall", describe(summary.overall()));
    JsonArray failed = new JsonArray();
    failures.forEach(failed::add);
    report.add("failures", failed);
    return new GsonBuilder()
            .setPrettyPrinting()
            .disableHtmlEscaping()
            .serializeNulls()
            .create()
            .toJson(report)
        + "\n";
  }

  private static JsonObject conventions(Settings settings) {
    JsonObject conventions = new JsonObject();
    conventions.addProperty("distance_unit", settings.convention().unit());
    conventions.addProperty("tolerance", settings.tolerance());
    conventions.addProperty(
        "undefined",
        settings.convention() == Convention.VOXELS
            ? "Dice 1 where both are empty, HD95 0 where any is, else null and not in means"
            : "null and not in means; distances where any is empty or full");
    return conventions;
  }

  private static JsonObject describe(Structure structure) {
    JsonObject object = new JsonObject();
    object.addProperty("name", structure.name());
    JsonArray labels = new JsonArray();
    structure.labels().forEach(labels::add);
    object.add("labels", labels);
    return object;
  }

  private static JsonObject describe(EvaluatedCase evaluated) {
    JsonObject object = new JsonObject();
    object.addProperty("case", evaluated.files().name());
    object.addProperty("prediction", evaluated.files().prediction().toString());
    object.addProperty("reference", evaluated.files().reference().toString());
    JsonObject structures = new JsonObject();
    for (StructureEvaluation structure : evaluated.evaluation().structures()) {
      JsonObject values = new JsonObject();
      structure.values().forEach((metric, value) -> add(values, metric.key(), value));
      structures.add(structure.structure().name(), values);
    }
    object.add("structures", structures);
    return object;
  }

  private static JsonObject describe(Map<Metric, Mean> means) {
    JsonObject object = new JsonObject();
    means.forEach((metric, mean) -> {
      JsonObject entry = new JsonObject();
      add(entry, "mean", mean.value());
      entry.addProperty("count", mean.count());
      object.add(metric.key(), entry);
    });
    return object;
  }

  private static void add(JsonObject object, String name, double value) {
    object.addProperty(name, Double.isNaN(value) ? null : value);
  }
}
