package org.unetrpp.dataset;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Voxels of each class, of which patches with foreground are cut. */
final class ClassLocations {
  private static final int SEED = 1234;
  private static final int LEAST = 10_000;
  private static final double SHARE = 0.01;

  private ClassLocations() {}

  /**
   * For each class from 1 on, in one stream of random numbers: at most 10,000 of its voxels or one
   * in a hundred, whichever is more, drawn at random; none of a class that does not occur.
   *
   * @param labels class of each voxel
   * @param classes number of classes, background included
   */
  static List<int[]> of(short[] labels, int classes) {
    int[] counts = new int[classes];
    for (short label : labels) {
      if (label > 0) {
        counts[label]++;
      }
    }
    LegacyShuffle shuffle = new LegacyShuffle(SEED);
    List<int[]> locations = new ArrayList<>();
    for (int label = 1; label < classes; label++) {
      int[] voxels = voxels(labels, label, counts[label]);
      shuffle.shuffle(voxels);
      int kept = Math.max(Math.min(LEAST, voxels.length), (int) Math.ceil(SHARE * voxels.length));
      locations.add(Arrays.copyOf(voxels, kept));
    }
    return locations;
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
