package org.unetrpp.dataset;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Voxels of each class, of which patches with foreground are cut. */
final class ClassLocations {
  static final int SEED = 1234;
  private static final int LEAST = 10_000;
  private static final double SHARE = 0.01;

  private ClassLocations() {}

  /**
   * For each class from 1 on, in one stream of random numbers: at most 10,000 of its voxels or one
   * in a hundred, whichever is more, drawn at random; none of a class that does not occur. Classes
   * draw in the order of their label values as texts (1, 10, 11, 2, ...), which is the published
   * order: that of the keys of a data set's description, which come sorted.
   *
   * @param labels class of each voxel
   * @param labelValues value in label files of each class, background first
   */
  static List<int[]> of(short[] labels, List<Integer> labelValues) {
    int classes = labelValues.size();
    int[] counts = new int[classes];
    for (short label : labels) {
      if (label > 0) {
        counts[label]++;
      }
    }
    LegacyShuffle shuffle = new LegacyShuffle(SEED);
    List<Integer> order = new ArrayList<>(IntStream.range(1, classes).boxed().toList());
    order.sort(Comparator.comparing(label -> labelValues.get(label).toString()));
    int[][] locations = new int[classes][];
    for (int label : order) {
      int[] voxels = voxels(labels, label, counts[label]);
      shuffle.shuffle(voxels);
      int kept = Math.max(Math.min(LEAST, voxels.length), (int) Math.ceil(SHARE * voxels.length));
      locations[label] = Arrays.copyOf(voxels, kept);
    }
    return Arrays.asList(locations).subList(1, classes);
  }

  private static int[] voxels(short[] labels, int label, int count) {
    int[] voxels = new int[count];
    int found = 0;
    for (int voxel = 0; found < count; voxel++) {
      if (labels[voxel] == label) {
        voxels[found++] = voxel;
      }
    }
    return voxels;
  }
}
