package org.unetrpp.figure;

import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Volume;
import org.unetrpp.inference.LabelClass;

/**
 * The volumes of a case on one grid.
 *
 * @param name of the case
 * @param image one channel; null if only labels are to be shown
 * @param reference the labels that are right
 * @param prediction the labels that are compared with them
 * @param classes names and colors of all labels of both, background excepted or not
 */
public record ComparedCase(
    String name,
    @Nullable Volume image,
    LabelVolume reference,
    LabelVolume prediction,
    List<LabelClass> classes) {
  private static final int VALUES = 256;

  /**
   * @throws IllegalArgumentException if the grids differ, or a label has no class
   */
  public ComparedCase {
    classes = classes.stream().filter(label -> label.value() != 0).toList();
    Geometry grid = reference.geometry();
    if (!prediction.geometry().isCloseTo(grid)) {
      throw new IllegalArgumentException(
          "the prediction lies on %s, expected the grid of the reference, %s"
              .formatted(prediction.geometry(), grid));
    }
    if (image != null && !image.geometry().isCloseTo(grid)) {
      throw new IllegalArgumentException(
          "the image lies on %s, expected the grid of the reference, %s"
              .formatted(image.geometry(), grid));
    }
    requireNames(reference, classes);
    requireNames(prediction, classes);
  }

  /**
   * Checks that all labels of a volume but background have a name.
   *
   * @throws IllegalArgumentException if one has none
   */
  public static void requireNames(LabelVolume volume, List<LabelClass> classes) {
    SortedSet<Integer> unnamed = labels(volume);
    classes.forEach(label -> unnamed.remove(label.value()));
    if (!unnamed.isEmpty()) {
      throw new IllegalArgumentException(
          "label %d has no name, expected one of %s or 0"
              .formatted(
                  unnamed.first(),
                  classes.stream()
                      .map(label -> label.value() + "=" + label.name())
                      .collect(Collectors.joining(", "))));
    }
  }

  /** The labels of a volume but 0. */
  public static SortedSet<Integer> labels(LabelVolume volume) {
    boolean[] found = new boolean[VALUES];
    for (byte label : volume.labels()) {
      found[Byte.toUnsignedInt(label)] = true;
    }
    SortedSet<Integer> labels = new TreeSet<>();
    for (int label = 1; label < VALUES; label++) {
      if (found[label]) {
        labels.add(label);
      }
    }
    return labels;
  }
}
