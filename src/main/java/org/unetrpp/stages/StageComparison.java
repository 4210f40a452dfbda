package org.unetrpp.stages;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.unetrpp.files.InvalidFileException;

/**
 * Where two runs part: the stages that both have, compared in their order.
 *
 * @param tolerance by which values and numbers among parameters may differ
 * @param stages that both runs have
 * @param onlyInA names of stages that the first run alone has
 * @param onlyInB names of stages that the second run alone has
 */
public record StageComparison(
    double tolerance, List<StageDifference> stages, List<String> onlyInA, List<String> onlyInB) {
  public StageComparison {
    stages = List.copyOf(stages);
    onlyInA = List.copyOf(onlyInA);
    onlyInB = List.copyOf(onlyInB);
  }

  /**
   * Compares two runs.
   *
   * @param tolerance from 0
   * @throws InvalidFileException if they have no stage in common, or a file is damaged
   * @throws java.nio.file.NoSuchFileException if a file is missing
   */
  public static StageComparison of(StoredStages a, StoredStages b, double tolerance)
      throws IOException {
    List<StageDifference> stages = new ArrayList<>();
    for (String name : both(a.names(), b.names())) {
      stages.add(stage(name, a, b, tolerance));
    }
    if (stages.isEmpty()) {
      throw new InvalidFileException(
          b.folder(), "has stages %s, but %s has %s".formatted(b.names(), a.folder(), a.names()));
    }
    return new StageComparison(
        tolerance, stages, missing(a.names(), b.names()), missing(b.names(), a.names()));
  }

  /** The first stage that differs. */
  public Optional<StageDifference> first() {
    return stages.stream().filter(stage -> !stage.isEqual()).findFirst();
  }

  private static StageDifference stage(
      String name, StoredStages a, StoredStages b, double tolerance) throws IOException {
    JsonObject parametersOfA = a.parameters(name);
    JsonObject parametersOfB = b.parameters(name);
    Map<String, StoredStages.Stored> ofA = a.volumes(name);
    Map<String, StoredStages.Stored> ofB = b.volumes(name);
    List<VolumeDifference> volumes = new ArrayList<>();
    for (Map.Entry<String, StoredStages.Stored> volume : ofA.entrySet()) {
      StoredStages.Stored other = ofB.get(volume.getKey());
      if (other != null) {
        volumes.add(VolumeDifference.of(volume.getKey(), volume.getValue(), other, tolerance));
      }
    }
    return new StageDifference(
        name,
        parametersOfA == null || parametersOfB == null
            ? List.of()
            : ParameterDifference.of(parametersOfA, parametersOfB, tolerance),
        volumes,
        missing(ofA.keySet(), ofB.keySet()),
        missing(ofB.keySet(), ofA.keySet()));
  }

  private static List<String> both(List<String> a, List<String> b) {
    return a.stream().filter(b::contains).toList();
  }

  /** Those of one that the other lacks. */
  private static List<String> missing(Collection<String> one, Collection<String> other) {
    return one.stream().filter(name -> !other.contains(name)).toList();
  }
}
