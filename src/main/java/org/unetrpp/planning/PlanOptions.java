package org.unetrpp.planning;

import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;

/**
 * What a person decides instead of the planner.
 *
 * @param maxBytes memory that a training step may take
 * @param patch the network's input, in its order of axes; null for the planner's
 * @param batchSize patches of a batch; empty for the planner's
 * @param epochs of the training; empty for the planner's
 * @param iterations of an epoch; empty for the published 250
 */
public record PlanOptions(
    long maxBytes,
    @Nullable Extents patch,
    OptionalInt batchSize,
    OptionalInt epochs,
    OptionalInt iterations) {
  /** Leaves all to the planner. */
  public static PlanOptions within(long maxBytes) {
    return new PlanOptions(
        maxBytes, null, OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty());
  }
}
