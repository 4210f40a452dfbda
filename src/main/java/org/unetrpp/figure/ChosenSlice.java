package org.unetrpp.figure;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.preview.Plane;

/**
 * A slice that is worth seeing.
 *
 * @param index along the axis that stands on the plane
 * @param reason for people
 */
record ChosenSlice(int index, String reason) {
  private static final int VALUES = 256;

  /**
   * The slice with the most errors, that with the most labels, and others with many errors, or
   * labels where there are none, none of them close to another; the middle one of volumes without
   * labels.
   *
   * <p>Errors count by what they take from the Dice of their class, so that those of small organs
   * are seen beside those of large ones: of each class (FP + FN) in the slice / (P + G) in all.
   *
   * @return up to {@code count} slices, the farthest from the viewer first
   */
  static List<ChosenSlice> of(ComparedCase compared, Plane plane, int count) {
    Tally tally = new Tally(compared, plane);
    List<ChosenSlice> chosen = new ArrayList<>();
    if (tally.span() == 0) {
      return List.of(new ChosenSlice(tally.slices() / 2, "no labels"));
    }
    int gap = Math.max(1, tally.span() / (2 * count));
    add(tally.worst(chosen, gap), "most errors", chosen);
    if (chosen.size() < count) {
      add(tally.fullest(chosen, gap), "most labels", chosen);
    }
    while (chosen.size() < count) {
      int worst = tally.worst(chosen, gap);
      int next = worst >= 0 ? worst : tally.fullest(chosen, gap);
      if (next < 0) {
        break;
      }
      add(next, worst >= 0 ? "more errors" : "more labels", chosen);
    }
    return chosen.stream()
        .sorted(Comparator.comparingInt(ChosenSlice::index))
        .map(slice ->
            new ChosenSlice(
                plane.nearestIsLast() ? slice.index : tally.slices() - 1 - slice.index,
                slice.reason))
        .toList();
  }

  private static void add(int index, String reason, List<ChosenSlice> chosen) {
    if (index >= 0) {
      chosen.add(new ChosenSlice(index, reason));
    }
  }

  /** Errors and labels by slice, the farthest from the viewer first. */
  private static final class Tally {
    private final double[] errors;
    private final double[] labels;

    Tally(ComparedCase compared, Plane plane) {
      Extents extents = compared.reference().extents();
      errors = new double[extents.along(plane.through())];
      labels = new double[errors.length];
      double[] weights = weights(compared);
      LabelVolume reference = compared.reference();
      LabelVolume prediction = compared.prediction();
      for (int slice = 0; slice < errors.length; slice++) {
        int index = plane.nearestIsLast() ? slice : errors.length - 1 - slice;
        for (int row = 0; row < extents.along(plane.rows()); row++) {
          for (int column = 0; column < extents.along(plane.columns()); column++) {
            int voxel = plane.voxel(extents, index, column, row);
            int right = Byte.toUnsignedInt(reference.labels()[voxel]);
            int said = Byte.toUnsignedInt(prediction.labels()[voxel]);
            labels[slice] += right != 0 || said != 0 ? 1 : 0;
            errors[slice] += right == said ? 0 : weights[right] + weights[said];
          }
        }
      }
    }

    /** One over the voxels of each label in both volumes, 0 for background. */
    private static double[] weights(ComparedCase compared) {
      double[] weights = new double[VALUES];
      for (LabelVolume volume : List.of(compared.reference(), compared.prediction())) {
        for (byte label : volume.labels()) {
          weights[Byte.toUnsignedInt(label)]++;
        }
      }
      for (int label = 0; label < VALUES; label++) {
        weights[label] = label == 0 || weights[label] == 0 ? 0 : 1 / weights[label];
      }
      return weights;
    }

    int slices() {
      return labels.length;
    }

    /** Slices from the first with labels to the last, 0 if none has any. */
    int span() {
      int first = labels.length;
      int last = -1;
      for (int slice = 0; slice < labels.length; slice++) {
        if (labels[slice] > 0) {
          first = Math.min(first, slice);
          last = slice;
        }
      }
      return Math.max(0, last - first + 1);
    }

    int worst(List<ChosenSlice> chosen, int gap) {
      return largest(errors, chosen, gap);
    }

    int fullest(List<ChosenSlice> chosen, int gap) {
      return largest(labels, chosen, gap);
    }

    /** The slice of the largest value above 0 that is far from others, -1 if there is none. */
    private static int largest(double[] values, List<ChosenSlice> chosen, int gap) {
      int largest = -1;
      for (int slice = 0; slice < values.length; slice++) {
        int candidate = slice;
        boolean far = chosen.stream().allMatch(c -> Math.abs(c.index - candidate) >= gap);
        if (far && values[slice] > (largest < 0 ? 0 : values[largest])) {
          largest = slice;
        }
      }
      return largest;
    }
  }
}
