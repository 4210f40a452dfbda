package org.unetrpp.metrics;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.mask.LabelRuns;
import org.unetrpp.pipeline.Workers;

/** Compares labels with a reference. */
public final class Evaluation {
  private static final double CUBIC_MILLIMETERS_PER_MILLILITER = 1000;

  private Evaluation() {}

  /**
   * The metrics of one case, on the calling thread.
   *
   * @param prediction the labels to be tested; its voxel spacing is that of the distances
   * @param reference labels on the same grid
   * @param structures what to evaluate, of different names
   * @throws IllegalArgumentException if the grids differ or two structures have one name
   */
  public static CaseEvaluation of(
      LabelVolume prediction,
      LabelVolume reference,
      List<Structure> structures,
      Settings settings) {
    try (Workers workers = Workers.of(1)) {
      return of(prediction, reference, structures, settings, workers);
    }
  }

  /**
   * The metrics of one case. Beside the volumes it needs 9 bytes for each run of a label along a
   * row of either, 8 for each of the largest structure, and about 30 for each of its surface
   * voxels.
   *
   * @param prediction the labels to be tested; its voxel spacing is that of the distances
   * @param reference labels on the same grid
   * @param structures what to evaluate, of different names
   * @throws IllegalArgumentException if the grids differ or two structures have one name
   * @throws java.util.concurrent.CancellationException if the run was cancelled
   */
  public static CaseEvaluation of(
      LabelVolume prediction,
      LabelVolume reference,
      List<Structure> structures,
      Settings settings,
      Workers workers) {
    requireSameGrid(prediction, reference);
    requireDifferentNames(structures);
    LabelRuns test = LabelRuns.of(prediction, workers);
    LabelRuns expected = LabelRuns.of(reference, workers);
    LabelCounts counts = LabelCounts.of(test, expected);
    Spacing sampling = settings.convention().sampling(prediction.spacing());
    List<StructureEvaluation> evaluations = new ArrayList<>();
    for (Structure structure : structures) {
      Confusion confusion = counts.confusion(structure);
      boolean measured = settings.withDistances() && settings.convention().hasDistances(confusion);
      SurfaceDistances distances =
          measured
              ? SurfaceDistances.between(
                  test.mask(structure.membership(), workers),
                  expected.mask(structure.membership(), workers),
                  sampling,
                  workers)
              : SurfaceDistances.NONE;
      double voxelMilliliters =
          prediction.spacing().voxelVolume() / CUBIC_MILLIMETERS_PER_MILLILITER;
      Measurements measurements =
          new Measurements(confusion, voxelMilliliters, distances, settings.tolerance());
      evaluations.add(StructureEvaluation.of(structure, measurements, settings));
    }
    return new CaseEvaluation(settings, prediction.extents().voxels(), evaluations);
  }

  /**
   * The classes of two volumes: a structure for each label but 0 that any of them holds, named by
   * its number.
   *
   * @throws IllegalArgumentException if the grids differ
   */
  public static List<Structure> foreground(LabelVolume prediction, LabelVolume reference) {
    requireSameGrid(prediction, reference);
    SortedSet<Integer> labels;
    try (Workers workers = Workers.of(1)) {
      labels = LabelRuns.of(prediction, workers).foreground();
      labels.addAll(LabelRuns.of(reference, workers).foreground());
    }
    return labels.stream().map(label -> Structure.of(label.toString(), label)).toList();
  }

  private static void requireSameGrid(LabelVolume prediction, LabelVolume reference) {
    if (!prediction.geometry().isCloseTo(reference.geometry())) {
      throw new IllegalArgumentException(
          "the prediction lies on %s, expected the grid of the reference, %s"
              .formatted(prediction.geometry(), reference.geometry()));
    }
  }

  private static void requireDifferentNames(List<Structure> structures) {
    Set<String> names = new HashSet<>();
    for (Structure structure : structures) {
      if (!names.add(structure.name())) {
        throw new IllegalArgumentException("two structures have the name " + structure.name());
      }
    }
  }
}
