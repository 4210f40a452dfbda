package org.unetrpp.postprocessing;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.mask.Components;
import org.unetrpp.mask.Connectivity;
import org.unetrpp.mask.LabelRuns;
import org.unetrpp.mask.MaskRuns;
import org.unetrpp.pipeline.Workers;

/**
 * What is removed of a segmentation, as published: small components, whose voxels share faces. The
 * voxels of what is removed become background.
 *
 * @param removals one after the other; each sees what those before it left
 */
public record ComponentRule(List<Removal> removals) {
  /** Leaves all as it is. */
  public static final ComponentRule NONE = new ComponentRule(List.of());

  public ComponentRule {
    removals = List.copyOf(removals);
  }

  /** Treats some classes as one object. */
  public static ComponentRule joint(Collection<Integer> labels) {
    return new ComponentRule(List.of(Removal.of(labels)));
  }

  /** Treats each class for itself. */
  public static ComponentRule each(Collection<Integer> labels) {
    return new ComponentRule(labels.stream().map(label -> Removal.of(List.of(label))).toList());
  }

  /**
   * The labels that stay. Takes a byte a voxel for them, and 33 bytes for each run of a label along
   * a row.
   *
   * @return a volume of its own, even if nothing is removed
   */
  public LabelVolume apply(LabelVolume volume, Workers workers) {
    byte[] labels = volume.labels().clone();
    LabelRuns runs = LabelRuns.of(volume, workers);
    for (Removal removal : removals) {
      MaskRuns removed = removed(removal, runs, volume.spacing().voxelVolume(), workers);
      clear(removed, labels);
      runs = runs.without(removed, workers);
    }
    return new LabelVolume(volume.geometry(), labels);
  }

  private static MaskRuns removed(
      Removal removal, LabelRuns runs, double voxelVolume, Workers workers) {
    Components components =
        Components.of(runs.mask(removal.membership(), workers), Connectivity.FACES, workers);
    long largest = 0;
    for (int component = 0; component < components.count(); component++) {
      largest = Math.max(largest, components.voxels(component));
    }
    long kept = largest;
    return components.mask(
        component ->
            components.voxels(component) != kept
                && removal.removes(components.voxels(component) * voxelVolume),
        workers);
  }

  private static void clear(MaskRuns removed, byte[] labels) {
    int height = removed.extents().height();
    int width = removed.extents().width();
    for (int depth = 0; depth < removed.extents().depth(); depth++) {
      MaskRuns.Slice runs = removed.slice(depth);
      for (int row = 0; row < height; row++) {
        int start = (depth * height + row) * width;
        for (int run = runs.starts()[row]; run < runs.starts()[row + 1]; run++) {
          Arrays.fill(labels, start + runs.from()[run], start + runs.to()[run], (byte) 0);
        }
      }
    }
  }
}
