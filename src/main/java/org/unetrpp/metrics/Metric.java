package org.unetrpp.metrics;

import com.google.errorprone.annotations.Immutable;
import java.util.Locale;

/// What is measured of a tested mask P and a reference G. TP, FP, FN and TN count voxels; d(P, G)
/// are the distances of the surface voxels of P to the nearest surface voxel of G. What has the
/// denominator 0 is undefined.
///
/// | metric | value |
/// | --- | --- |
/// | DICE | 2 TP / (2 TP + FP + FN) |
/// | JACCARD | TP / (TP + FP + FN) |
/// | PRECISION | TP / (TP + FP) |
/// | RECALL, or sensitivity | TP / (TP + FN) |
/// | TRUE_NEGATIVE_RATE, or specificity | TN / (TN + FP) |
/// | ACCURACY | (TP + TN) / all |
/// | FALSE_POSITIVE_RATE | 1 - TRUE_NEGATIVE_RATE |
/// | FALSE_NEGATIVE_RATE | 1 - RECALL |
/// | FALSE_DISCOVERY_RATE | 1 - PRECISION |
/// | FALSE_OMISSION_RATE | FN / (FN + TN) |
/// | NEGATIVE_PREDICTIVE_VALUE | 1 - FALSE_OMISSION_RATE |
/// | TOTAL_POSITIVES_TEST, _REFERENCE | TP + FP, TP + FN |
/// | TOTAL_NEGATIVES_TEST, _REFERENCE | TN + FN, TN + FP |
/// | TEST_VOLUME_ML, REFERENCE_VOLUME_ML | voxels of P and of G in milliliters |
/// | VOLUME_ERROR_ML | volume of P - volume of G |
/// | RELATIVE_VOLUME_ERROR | (volume of P - volume of G) / volume of G |
/// | HD | the largest of d(P, G) and d(G, P) |
/// | HD95 | 95th percentile of both pooled, between ranks linear |
/// | ASD | mean of d(P, G) |
/// | ASSD | mean of ASD(P, G) and ASD(G, P) |
/// | SURFACE_DICE | (a + b) / (2 + 1e-8), a and b the shares of d(P, G) and d(G, P) within a tolerance |
public enum Metric {
  DICE(m -> ratio(2 * m.tp(), 2 * m.tp() + m.fp() + m.fn())),
  JACCARD(m -> ratio(m.tp(), m.tp() + m.fp() + m.fn())),
  PRECISION(m -> ratio(m.tp(), m.tp() + m.fp())),
  RECALL(m -> ratio(m.tp(), m.tp() + m.fn())),
  TRUE_NEGATIVE_RATE(m -> ratio(m.tn(), m.tn() + m.fp())),
  ACCURACY(m -> ratio(m.tp() + m.tn(), m.confusion().voxels())),
  FALSE_POSITIVE_RATE(m -> 1 - TRUE_NEGATIVE_RATE.of(m)),
  FALSE_NEGATIVE_RATE(m -> 1 - RECALL.of(m)),
  FALSE_DISCOVERY_RATE(m -> 1 - PRECISION.of(m)),
  FALSE_OMISSION_RATE(m -> ratio(m.fn(), m.fn() + m.tn())),
  NEGATIVE_PREDICTIVE_VALUE(m -> 1 - FALSE_OMISSION_RATE.of(m)),
  TOTAL_POSITIVES_TEST(m -> m.confusion().testPositives()),
  TOTAL_POSITIVES_REFERENCE(m -> m.confusion().referencePositives()),
  TOTAL_NEGATIVES_TEST(m -> m.confusion().testNegatives()),
  TOTAL_NEGATIVES_REFERENCE(m -> m.confusion().referenceNegatives()),
  TEST_VOLUME_ML(m -> m.confusion().testPositives() * m.voxelMilliliters()),
  REFERENCE_VOLUME_ML(m -> m.confusion().referencePositives() * m.voxelMilliliters()),
  VOLUME_ERROR_ML(m -> (m.fp() - m.fn()) * m.voxelMilliliters()),
  RELATIVE_VOLUME_ERROR(m -> ratio(m.fp() - m.fn(), m.tp() + m.fn())),
  HD(m -> m.distances().hausdorff()),
  HD95(m -> m.distances().hausdorff95()),
  ASD(m -> m.distances().average()),
  ASSD(m -> m.distances().averageSymmetric()),
  SURFACE_DICE(m -> m.distances().surfaceDice(m.tolerance()));

  private final Formula formula;

  Metric(Formula formula) {
    this.formula = formula;
  }

  /** The name in files, such as {@code volume_error_ml}. */
  public String key() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Whether the value is a distance, in the unit of the {@link Convention}. */
  public boolean isDistance() {
    return switch (this) {
      case HD, HD95, ASD, ASSD -> true;
      default -> false;
    };
  }

  /** Whether it takes the distances between surfaces. */
  boolean needsDistances() {
    return isDistance() || this == SURFACE_DICE;
  }

  /** The value, NaN where it is undefined. */
  double of(Measurements measurements) {
    return formula.of(measurements);
  }

  private static double ratio(long part, long whole) {
    return whole == 0 ? Double.NaN : (double) part / whole;
  }

  @Immutable
  @FunctionalInterface
  private interface Formula {
    double of(Measurements measurements);
  }
}
