package org.unetrpp.metrics;

import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The metrics of one case.
 *
 * @param settings that were used
 * @param voxels of the volume
 * @param structures in the order that they were asked for
 */
public record CaseEvaluation(Settings settings, long voxels, List<StructureEvaluation> structures) {
  public CaseEvaluation {
    structures = List.copyOf(structures);
  }

  /**
   * The evaluation of a structure.
   *
   * @throws IllegalArgumentException if it was not evaluated
   */
  public StructureEvaluation structure(String name) {
    return structures.stream()
        .filter(evaluation -> evaluation.structure().name().equals(name))
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException("structure '" + name + "' was not evaluated"));
  }

  /**
   * The same over other structures, in their order; those that were not evaluated have to be known
   * to lie in neither volume, such as labels that {@link Evaluation#foreground} found elsewhere.
   */
  public CaseEvaluation over(List<Structure> all) {
    Map<Structure, StructureEvaluation> known =
        structures.stream()
            .collect(Collectors.toMap(StructureEvaluation::structure, Function.identity()));
    return new CaseEvaluation(
        settings,
        voxels,
        all.stream()
            .map(structure -> known.getOrDefault(structure, ofEmptyMasks(structure)))
            .toList());
  }

  private StructureEvaluation ofEmptyMasks(Structure structure) {
    Measurements measurements =
        new Measurements(
            Confusion.ofEmptyMasks(voxels), 0, SurfaceDistances.NONE, settings.tolerance());
    return StructureEvaluation.of(structure, measurements, settings);
  }
}
