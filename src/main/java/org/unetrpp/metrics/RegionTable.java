package org.unetrpp.metrics;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SequencedMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The Dice of cases and regions as {@code summary.csv} of the published region-based evaluation has
 * them: a column for each region, a line for each case, and lines for mean and median, without what
 * is undefined and with 1 in its place; four decimals.
 */
public final class RegionTable {
  private RegionTable() {}

  /**
   * The text of the file.
   *
   * @param cases at least one, over the same structures, by name
   * @throws IllegalArgumentException if a case was evaluated over other structures than the first
   */
  public static String csv(SequencedMap<String, CaseEvaluation> cases) {
    List<String> regions =
        cases.firstEntry().getValue().structures().stream()
            .map(evaluation -> evaluation.structure().name())
            .toList();
    double[][] dice =
        regions.stream()
            .map(region ->
                cases.values().stream()
                    .mapToDouble(of -> of.structure(region).value(Metric.DICE))
                    .toArray())
            .toArray(double[][]::new);
    StringBuilder text = new StringBuilder("casename," + String.join(",", regions) + "\n");
    List<String> names = List.copyOf(cases.keySet());
    IntStream.range(0, names.size())
        .forEach(i -> text.append(line(names.get(i), dice, ofRegion -> ofRegion[i])));
    text.append(line("mean", dice, values -> mean(defined(values))));
    text.append(line("median", dice, values -> median(defined(values))));
    text.append(line("mean (nan is 1)", dice, values -> mean(withOnes(values))));
    text.append(line("median (nan is 1)", dice, values -> median(withOnes(values))));
    return text.toString();
  }

  private static String line(String name, double[][] dice, ToDoubleFunction<double[]> value) {
    return Arrays.stream(dice)
        .map(values -> number(value.applyAsDouble(values)))
        .collect(Collectors.joining(",", name + ",", "\n"));
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "nan" : String.format(Locale.ROOT, "%.4f", value);
  }

  private static double[] defined(double[] values) {
    return Arrays.stream(values).filter(value -> !Double.isNaN(value)).toArray();
  }

  private static double[] withOnes(double[] values) {
    return Arrays.stream(values).map(value -> Double.isNaN(value) ? 1 : value).toArray();
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  private static double median(double[] values) {
    double[] sorted = Arrays.stream(values).sorted().toArray();
    int half = sorted.length / 2;
    return sorted.length == 0
        ? Double.NaN
        : sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }
}
