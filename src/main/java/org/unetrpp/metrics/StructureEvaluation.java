package org.unetrpp.metrics;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * The metrics of one structure of one case.
 *
 * @param structure what was evaluated
 * @param confusion of its masks
 * @param values of the metrics that were evaluated, in their order; NaN where undefined
 */
public record StructureEvaluation(
    Structure structure, Confusion confusion, Map<Metric, Double> values) {
  public StructureEvaluation {
    values = Collections.unmodifiableMap(new EnumMap<>(values));
  }

  static StructureEvaluation of(Structure structure, Measurements measurements, Settings settings) {
    Map<Metric, Double> values = new EnumMap<>(Metric.class);
    for (Metric metric : settings.metrics()) {
      double value = metric.of(measurements);
      boolean undefined = Double.isNaN(value);
      values.put(metric, undefined ? settings.convention().valueOfUndefined(metric) : value);
    }
    return new StructureEvaluation(structure, measurements.confusion(), values);
  }

  /**
   * The value of a metric, NaN where undefined.
   *
   * @throws IllegalArgumentException if it was not evaluated
   */
  public double value(Metric metric) {
    Double value = values.get(metric);
    if (value == null) {
      throw new IllegalArgumentException(
          metric + " was not evaluated, expected one of " + values.keySet());
    }
    return value;
  }
}
