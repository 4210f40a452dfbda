package org.unetrpp.stages;

import java.util.List;

/**
 * How a stage of one run differs from that of another.
 *
 * @param name of the stage
 * @param parameters those that differ
 * @param volumes those that both runs have
 * @param onlyInA names of volumes that the first run alone has
 * @param onlyInB names of volumes that the second run alone has
 */
public record StageDifference(
    String name,
    List<ParameterDifference> parameters,
    List<VolumeDifference> volumes,
    List<String> onlyInA,
    List<String> onlyInB) {
  public StageDifference {
    parameters = List.copyOf(parameters);
    volumes = List.copyOf(volumes);
    onlyInA = List.copyOf(onlyInA);
    onlyInB = List.copyOf(onlyInB);
  }

  /** Whether the runs agree on all that both have, which is something. */
  public boolean isEqual() {
    return parameters.isEmpty()
        && !volumes.isEmpty()
        && volumes.stream().allMatch(VolumeDifference::isEqual);
  }
}
