package org.unetrpp.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.StreamSupport;

/**
 * A Markdown table of what JMH recorded of {@link BoxBenchmark} and, in the same run, of {@link
 * PeakBenchmark}. A box's share of peak is the time that its arithmetic or its bytes take at best,
 * the longer of the two, divided by the time it takes.
 */
public final class BoxTable {
  private BoxTable() {}

  /** Prints the table of a JSON file of JMH. */
  public static void main(String[] arguments) throws IOException {
    if (arguments.length != 1) {
      System.err.println("expected one file that JMH wrote with -rf json -rff FILE");
      System.exit(2);
    }
    String json = Files.readString(Path.of(arguments[0]));
    System.out.print(of(JsonParser.parseString(json).getAsJsonArray()));
  }

  /**
   * The table.
   *
   * @throws IllegalArgumentException if the peaks of a box's threads are missing
   */
  static String of(JsonArray results) {
    StringBuilder table =
        new StringBuilder(
            """
            | network, box | mode | threads | ms | GFLOP/s | GB/s | share of peak |
            | --- | --- | --- | --- | --- | --- | --- |
            """);
    List<JsonObject> all =
        StreamSupport.stream(results.spliterator(), false)
            .map(JsonElement::getAsJsonObject)
            .toList();
    for (JsonObject result : all) {
      if (isOf(result, BoxBenchmark.class)) {
        table.append(row(result, all));
      }
    }
    for (JsonObject result : all) {
      if (isOf(result, PeakBenchmark.class)) {
        table.append(
            String.format(
                Locale.ROOT,
                "| peak: %s | | %s | %.2f | %.1f | %.1f | |\n",
                method(result),
                parameter(result, "threads"),
                milliseconds(result),
                rate(result, "gigaFlop"),
                rate(result, "gigaByte")));
      }
    }
    return table.toString();
  }

  private static String row(JsonObject result, List<JsonObject> all) {
    String threads = parameter(result, "threads");
    double arithmetic = rate(result, "gigaFlop") / peak(all, "arithmetic", threads, "gigaFlop");
    double memory = rate(result, "gigaByte") / peak(all, "memory", threads, "gigaByte");
    return String.format(
        Locale.ROOT,
        "| %s, %s | %s | %s | %.2f | %.1f | %.1f | %.0f %% of %s |\n",
        parameter(result, "variant"),
        parameter(result, "box"),
        method(result),
        threads,
        milliseconds(result),
        rate(result, "gigaFlop"),
        rate(result, "gigaByte"),
        100 * Math.max(arithmetic, memory),
        arithmetic > memory ? "arithmetic" : "memory");
  }

  private static double peak(List<JsonObject> all, String kind, String threads, String unit) {
    return all.stream()
        .filter(result -> isOf(result, PeakBenchmark.class))
        .filter(result -> method(result).equals(kind))
        .filter(result -> parameter(result, "threads").equals(threads))
        .mapToDouble(result -> rate(result, unit))
        .max()
        .orElseThrow(() ->
            new IllegalArgumentException(
                "PeakBenchmark.%s with %s threads is missing, expected in the same file"
                    .formatted(kind, threads)));
  }

  private static boolean isOf(JsonObject result, Class<?> benchmark) {
    return result.get("benchmark").getAsString().startsWith(benchmark.getName() + ".");
  }

  private static String method(JsonObject result) {
    String name = result.get("benchmark").getAsString();
    return name.substring(name.lastIndexOf('.') + 1);
  }

  private static String parameter(JsonObject result, String name) {
    return result.getAsJsonObject("params").get(name).getAsString();
  }

  /** Of one run of what was measured by runs a second. */
  private static double milliseconds(JsonObject result) {
    return 1000 / result.getAsJsonObject("primaryMetric").get("score").getAsDouble();
  }

  private static double rate(JsonObject result, String unit) {
    return result
        .getAsJsonObject("secondaryMetrics")
        .getAsJsonObject(unit)
        .get("score")
        .getAsDouble();
  }
}
