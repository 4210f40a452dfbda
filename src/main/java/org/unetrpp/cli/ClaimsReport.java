package org.unetrpp.cli;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.benchmark.NetworkSize;
import org.unetrpp.benchmark.PublishedNetwork;
import org.unetrpp.benchmark.PublishedTable;
import org.unetrpp.benchmark.PublishedTable.Result;
import org.unetrpp.benchmark.Spread;
import org.unetrpp.grid.Extents;

/**
 * What is published of UNETR++ and other networks beside what this machine gives, as Markdown, CSV
 * and JSON.
 *
 * @param machine device, instruction set and libraries
 * @param precision of the passes
 * @param foreignLoad share of the processors that other processes took meanwhile
 * @param networks what was measured
 * @param published all published figures
 */
record ClaimsReport(
    String machine,
    String precision,
    double foreignLoad,
    List<Measured> networks,
    List<PublishedTable> published) {
  private static final double MEGA = 1e6;
  private static final double GIGA = 1e9;
  private static final double MILLI = 1e-3;
  private static final String NONE = "-";
  private static final String COUNTED = "counted by this program";
  private static final List<Column> COLUMNS =
      List.of(
          new Column("parameters", "M", Result::parameters),
          new Column("multiply-adds", "G", Result::multiplyAdds),
          new Column("memory", "GB", Result::gigabytes),
          new Column("GPU time", "ms", Result::gpuMilliseconds),
          new Column("CPU time", "ms", Result::cpuMilliseconds),
          new Column("HD95", "", Result::hd95),
          new Column("Dice", "%", Result::dice));

  /**
   * A network on this machine.
   *
   * @param network which
   * @param size of it
   * @param seconds of a patch
   */
  record Measured(PublishedNetwork network, NetworkSize size, Spread seconds) {}

  /** A figure that sources give. */
  private record Column(String name, String unit, Function<Result, @Nullable Double> figure) {
    String heading() {
      return unit.isEmpty() ? name : "%s (%s)".formatted(name, unit);
    }
  }

  /** For people. */
  String markdown() {
    StringBuilder text = new StringBuilder("# UNETR++: published figures and this machine\n\n");
    text.append("Measured on: ").append(cell(machine)).append(", ").append(precision);
    text.append(". Times are the median and range of one patch, image in, logits out.");
    text.append(
        String.format(Locale.ROOT, " Other processes took %.0f %% of the", 100 * foreignLoad));
    text.append(" processors.\nMultiply-adds count one for a multiplication and an addition, all");
    text.append(" heads, by the published rules, which call them FLOPs.\n\n## Networks\n\n");
    row(
        text,
        "network",
        "patch",
        "parameters (M)",
        "published",
        "multiply-adds (G)",
        "published",
        "a patch here",
        "published CPU (s)",
        "published GPU (s)");
    rule(text, 2, 7);
    networks.forEach(measured -> network(text, measured));
    text.append('\n');
    for (Measured measured : networks) {
      measured
          .network()
          .claims()
          .ifPresent(claims ->
              text.append("- %s: %s".formatted(measured.network().name(), cell(claims.source())))
                  .append(claims.remarks().map(remarks -> "; " + cell(remarks)).orElse(""))
                  .append(".\n"));
    }
    published.forEach(table -> table(text, table));
    return text.toString();
  }

  private void network(StringBuilder text, Measured measured) {
    Extents patch = measured.network().architecture().patch();
    var claims = measured.network().claims();
    double parameters = measured.size().parameters() / MEGA;
    double multiplyAdds = measured.size().multiplyAdds() / GIGA;
    row(
        text,
        measured.network().name(),
        "%dx%s".formatted(measured.network().architecture().inputChannels(), patch),
        number(parameters),
        claims.map(c -> beside(c.parameters(), parameters)).orElse(NONE),
        number(multiplyAdds),
        claims.map(c -> beside(c.multiplyAdds(), multiplyAdds)).orElse(NONE),
        BenchmarkReport.text(measured.seconds()),
        claims.map(c -> seconds(c.cpuMilliseconds().orElse(Double.NaN))).orElse(NONE),
        claims.map(c -> seconds(c.gpuMilliseconds().orElse(Double.NaN))).orElse(NONE));
  }

  /** A published figure, and how far the one here is from it. */
  private static String beside(double published, double here) {
    return String.format(
        Locale.ROOT, "%s (here %+.2f %%)", shortest(published), 100 * (here / published - 1));
  }

  private static String seconds(double milliseconds) {
    return Double.isNaN(milliseconds)
        ? NONE
        : String.format(Locale.ROOT, "%.3g", milliseconds * MILLI);
  }

  private static void table(StringBuilder text, PublishedTable table) {
    text.append("\n## %s, %s\n\n".formatted(cell(table.data()), cell(table.source())));
    if (table.remarks() != null) {
      text.append(sentence(table.remarks())).append("\n\n");
    }
    List<Column> columns =
        COLUMNS.stream()
            .filter(
                column -> table.results().stream().anyMatch(r -> column.figure.apply(r) != null))
            .toList();
    Set<String> classes =
        table.results().stream()
            .map(ClaimsReport::classes)
            .flatMap(dice -> dice.keySet().stream())
            .collect(Collectors.toCollection(LinkedHashSet::new));
    row(
        text,
        Stream.of(Stream.of("method"), columns.stream().map(Column::heading), classes.stream())
            .flatMap(cells -> cells)
            .toArray(String[]::new));
    rule(text, 1, columns.size() + classes.size());
    List<List<String>> cells = new ArrayList<>();
    columns.forEach(column -> cells.add(alike(table.results(), column.figure)));
    classes.forEach(name -> cells.add(alike(table.results(), result -> classes(result).get(name))));
    for (int i = 0; i < table.results().size(); i++) {
      int line = i;
      row(
          text,
          Stream.concat(
                  Stream.of(table.results().get(i).method()),
                  cells.stream().map(column -> column.get(line)))
              .toArray(String[]::new));
    }
  }

  /** The cells of a column, with as many decimals as the source gives at most. */
  private static List<String> alike(
      List<Result> results, Function<Result, @Nullable Double> figure) {
    int decimals =
        results.stream()
            .map(figure)
            .flatMap(Stream::ofNullable)
            .mapToInt(value -> Math.max(0, BigDecimal.valueOf(value).stripTrailingZeros().scale()))
            .max()
            .orElse(0);
    return results.stream()
        .map(figure)
        .map(value ->
            value == null ? NONE : String.format(Locale.ROOT, "%." + decimals + "f", value))
        .toList();
  }

  private static Map<String, Double> classes(Result result) {
    return result.classDice() == null ? Map.of() : result.classDice();
  }

  private static String sentence(String remark) {
    return cell(remark.substring(0, 1).toUpperCase(Locale.ROOT) + remark.substring(1) + ".");
  }

  private static void row(StringBuilder text, String... cells) {
    text.append(
        Stream.of(cells).map(ClaimsReport::cell).collect(Collectors.joining(" | ", "| ", " |\n")));
  }

  /** The line under the headings: names to the left, numbers to the right. */
  private static void rule(StringBuilder text, int names, int numbers) {
    text.append("| --- ".repeat(names)).append("| ---: ".repeat(numbers)).append("|\n");
  }

  private static String cell(String text) {
    return text.replace("|", "\\|");
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  /** The shortest text that reads as the same number; whole numbers without a point. */
  private static String shortest(double value) {
    return value == Math.rint(value) ? Long.toString((long) value) : Double.toString(value);
  }

  /** A line for each figure. */
  String csv() {
    List<String> lines = new ArrayList<>();
    lines.add("data,variant,method,figure,class,value,unit,source");
    for (PublishedTable table : published) {
      for (Result result : table.results()) {
        for (Column column : COLUMNS) {
          Double value = column.figure.apply(result);
          if (value != null) {
            line(lines, table, result, column.name, "", value, column.unit);
          }
        }
        classes(result)
            .forEach((name, dice) -> line(lines, table, result, "Dice", name, dice, "%"));
      }
    }
    for (Measured measured : networks) {
      String name = measured.network().name();
      here(lines, name, "parameters", measured.size().parameters() / MEGA, "M", COUNTED);
      here(lines, name, "multiply-adds", measured.size().multiplyAdds() / GIGA, "G", COUNTED);
      String source = "measured on " + machine + ", " + precision;
      here(lines, name, "median time", measured.seconds().median() / MILLI, "ms", source);
      here(lines, name, "smallest time", measured.seconds().smallest() / MILLI, "ms", source);
      here(lines, name, "largest time", measured.seconds().largest() / MILLI, "ms", source);
    }
    return String.join("\n", lines) + "\n";
  }

  private static void line(
      List<String> lines,
      PublishedTable table,
      Result result,
      String figure,
      String name,
      double value,
      String unit) {
    add(
        lines,
        table.data(),
        table.variant(),
        result.method(),
        figure,
        name,
        shortest(value),
        unit,
        table.source());
  }

  private static void here(
      List<String> lines, String variant, String figure, double value, String unit, String source) {
    add(lines, "", variant, PublishedTable.OWN_METHOD, figure, "", shortest(value), unit, source);
  }

  private static void add(List<String> lines, String... cells) {
    lines.add(Stream.of(cells).map(EvaluationReport::quoted).collect(Collectors.joining(",")));
  }

  /** For programs. */
  String json() {
    JsonObject report = new JsonObject();
    report.addProperty("machine", machine);
    report.addProperty("precision", precision);
    report.addProperty("foreign_load", foreignLoad);
    JsonArray measured = new JsonArray();
    networks.forEach(network -> measured.add(describe(network)));
    report.add("networks", measured);
    report.add("published", new Gson().toJsonTree(published));
    return new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create().toJson(report)
        + "\n";
  }

  private static JsonObject describe(Measured measured) {
    JsonObject network = new JsonObject();
    network.addProperty("network", measured.network().name());
    network.addProperty("channels", measured.network().architecture().inputChannels());
    network.addProperty("patch", measured.network().architecture().patch().toString());
    network.addProperty("parameters", measured.size().parameters());
    network.addProperty("multiply_adds", measured.size().multiplyAdds());
    network.add("pass_seconds", BenchmarkReport.spread(measured.seconds()));
    return network;
  }
}
