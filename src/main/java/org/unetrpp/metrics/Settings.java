package org.unetrpp.metrics;

import java.util.EnumSet;
import java.util.Set;

/**
 * What is evaluated and how.
 *
 * @param convention of distances and undefined values
 * @param tolerance of the surface Dice, in the convention's unit of distances, 0 or more
 * @param withDistances whether the metrics of surfaces, which take most of the time, are wanted
 */
public record Settings(Convention convention, double tolerance, boolean withDistances) {
  /** Distances in millimeters, those up to 1 mm tolerated. */
  public static final Settings DEFAULT = new Settings(Convention.MILLIMETERS, 1, true);

  public Settings {
    if (!(tolerance >= 0) || Double.isInfinite(tolerance)) {
      throw new IllegalArgumentException(
          "tolerance is " + tolerance + ", expected 0 or more " + convention.unit());
    }
  }

  /** The same without the metrics of surfaces. */
  public Settings withoutDistances() {
    return new Settings(convention, tolerance, false);
  }

  /** The metrics that are evaluated. */
  public Set<Metric> metrics() {
    EnumSet<Metric> metrics = EnumSet.allOf(Metric.class);
    metrics.removeIf(metric -> metric.needsDistances() && !withDistances);
    return metrics;
  }
}
