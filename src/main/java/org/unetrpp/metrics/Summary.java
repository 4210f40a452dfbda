package org.unetrpp.metrics;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;

/**
 * The metrics of several cases.
 *
 * @param settings that were used
 * @param cases how many
 * @param structures means over cases, in the order of the cases' structures
 * @param overall of each metric, the mean of the structures' means
 */
public record Summary(
    Settings settings, int cases, List<StructureSummary> structures, Map<Metric, Mean> overall) {
  /**
   * A mean without what is undefined.
   *
   * @param value NaN if nothing counts
   * @param count how many values count
   */
  public record Mean(double value, int count) {
    static Mean of(DoubleStream values) {
      double[] defined = values.filter(value -> !Double.isNaN(value)).toArray();
      return new Mean(DoubleStream.of(defined).average().orElse(Double.NaN), defined.length);
    }
  }

  /**
   * Means of one structure.
   *
   * @param structure what was evaluated
   * @param means over cases
   */
  public record StructureSummary(Structure structure, Map<Metric, Mean> means) {
    public StructureSummary {
      means = Collections.unmodifiableMap(new EnumMap<>(means));
    }

    /**
     * The mean of a metric.
     *
     * @throws IllegalArgumentException if it was not evaluated
     */
    public Mean mean(Metric metric) {
      return entry(means, metric);
    }
  }

  public Summary {
    structures = List.copyOf(structures);
    overall = Collections.unmodifiableMap(new EnumMap<>(overall));
  }

  /**
   * The means over cases.
   *
   * @throws IllegalArgumentException if there is no case, or their structures or settings differ
   */
  public static Summary of(List<CaseEvaluation> cases) {
    if (cases.isEmpty()) {
      throw new IllegalArgumentException("no cases, expected at least one");
    }
    CaseEvaluation first = cases.getFirst();
    for (CaseEvaluation evaluation : cases) {
      if (!evaluation.settings().equals(first.settings())
          || !structures(evaluation).equals(structures(first))) {
        throw new IllegalArgumentException(
            "a case was evaluated over %s by %s, expected as the first over %s by %s"
                .formatted(
                    structures(evaluation),
                    evaluation.settings(),
                    structures(first),
                    first.settings()));
      }
    }
    List<StructureSummary> summaries = new ArrayList<>();
    for (int i = 0; i < first.structures().size(); i++) {
      summaries.add(structure(i, cases));
    }
    return new Summary(
        first.settings(), cases.size(), summaries, overall(first.settings(), summaries));
  }

  /**
   * The overall mean of a metric.
   *
   * @throws IllegalArgumentException if it was not evaluated
   */
  public Mean mean(Metric metric) {
    return entry(overall, metric);
  }

  private static Mean entry(Map<Metric, Mean> means, Metric metric) {
    Mean mean = means.get(metric);
    if (mean == null) {
      throw new IllegalArgumentException(
          metric + " was not evaluated, expected one of " + means.keySet());
    }
    return mean;
  }

  private static List<Structure> structures(CaseEvaluation evaluation) {
    return evaluation.structures().stream().map(StructureEvaluation::structure).toList();
  }

  private static StructureSummary structure(int index, List<CaseEvaluation> cases) {
    List<StructureEvaluation> evaluations =
        cases.stream().map(evaluation -> evaluation.structures().get(index)).toList();
    StructureEvaluation first = evaluations.getFirst();
    Map<Metric, Mean> means = new EnumMap<>(Metric.class);
    for (Metric metric : first.values().keySet()) {
      means.put(metric, Mean.of(evaluations.stream().mapToDouble(e -> e.value(metric))));
    }
    return new StructureSummary(first.structure(), means);
  }

  private static Map<Metric, Mean> overall(Settings settings, List<StructureSummary> summaries) {
    Map<Metric, Mean> overall = new EnumMap<>(Metric.class);
    for (Metric metric : settings.metrics()) {
      DoubleStream means = summaries.stream().mapToDouble(s -> s.mean(metric).value());
      overall.put(metric, Mean.of(means));
    }
    return overall;
  }
}
