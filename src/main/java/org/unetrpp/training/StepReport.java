package org.unetrpp.training;

import java.util.List;

/**
 * What a training step found.
 *
 * @param loss sum of the heads' losses, weighted
 * @param headLosses of the three heads, full resolution first, unweighted
 * @param gradientNorm Euclidean norm of all gradients before they were clipped
 */
public record StepReport(double loss, List<Double> headLosses, double gradientNorm) {
  public StepReport {
    headLosses = List.copyOf(headLosses);
  }
}
