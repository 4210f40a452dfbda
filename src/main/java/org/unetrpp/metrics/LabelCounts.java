package org.unetrpp.metrics;

import java.util.Arrays;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.pipeline.Box;

/**
 * How often each label of one volume meets each label of another, and the box around each label.
 */
final class LabelCounts {
  private static final int LABELS = 256;

  private final long voxels;

  /** For each pair of labels, that of the tested volume first, (256, 256). */
  private final long[] pairs = new long[LABELS * LABELS];

  /** First index along each axis of each label in either volume, (256, 3). */
  private final int[] low = new int[LABELS * 3];

  /** Past the last index along each axis of each label in either volume, (256, 3). */
  private final int[] high = new int[LABELS * 3];

  private LabelCounts(long voxels) {
    this.voxels = voxels;
    Arrays.fill(low, Integer.MAX_VALUE);
  }

  /** Counts the labels of two volumes of the same extents. */
  static LabelCounts of(LabelVolume test, LabelVolume reference) {
    Extents extents = test.extents();
    LabelCounts counts = new LabelCounts(extents.voxels());
    int start = 0;
    for (int depth = 0; depth < extents.depth(); depth++) {
      for (int row = 0; row < extents.height(); row++) {
        counts.countRow(test.labels(), reference.labels(), start, extents.width(), depth, row);
        start += extents.width();
      }
    }
    return counts;
  }

  /** The labels of both volumes but 0, the background. */
  SortedSet<Integer> foreground() {
    SortedSet<Integer> labels = new TreeSet<>();
    for (int label = 1; label < LABELS; label++) {
      if (high[label * 3] > 0) {
        labels.add(label);
      }
    }
    return labels;
  }

  /** The counts of a structure's masks. */
  Confusion confusion(Structure structure) {
    long test = 0;
    long reference = 0;
    long both = 0;
    for (int label : structure.labels()) {
      test += sum(label * LABELS, 1);
      reference += sum(label, LABELS);
      both += structure.labels().stream().mapToLong(l -> pairs[label * LABELS + l]).sum();
    }
    return new Confusion(both, test - both, reference - both, voxels - test - reference + both);
  }

  /** The smallest box around a structure in both volumes; none if neither has it. */
  Optional<Box> box(Structure structure) {
    int[] first = new int[3];
    int[] extents = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      int along = axis;
      first[axis] =
          structure.labels().stream().mapToInt(l -> low[l * 3 + along]).min().orElseThrow();
      int end = structure.labels().stream().mapToInt(l -> high[l * 3 + along]).max().orElseThrow();
      if (end == 0) {
        return Optional.empty();
      }
      extents[axis] = end - first[axis];
    }
    return Optional.of(new Box(Extents.of(first), Extents.of(extents)));
  }

  private long sum(int start, int stride) {
    return IntStream.range(0, LABELS).mapToLong(i -> pairs[start + i * stride]).sum();
  }

  /** Counts a row by runs of voxels with the same two labels, for rows have few. */
  private void countRow(byte[] test, byte[] reference, int start, int width, int depth, int row) {
    int from = 0;
    while (from < width) {
      byte testLabel = test[start + from];
      byte referenceLabel = reference[start + from];
      int to = from + 1;
      while (to < width
          && test[start + to] == testLabel
          && reference[start + to] == referenceLabel) {
        to++;
      }
      pairs[(testLabel & 0xff) * LABELS + (referenceLabel & 0xff)] += to - from;
      include(testLabel & 0xff, depth, row, from, to);
      include(referenceLabel & 0xff, depth, row, from, to);
      from = to;
    }
  }

  private void include(int label, int depth, int row, int from, int to) {
    include(label * 3, depth, depth + 1);
    include(label * 3 + 1, row, row + 1);
    include(label * 3 + 2, from, to);
  }

  private void include(int index, int from, int to) {
    low[index] = Math.min(low[index], from);
    high[index] = Math.max(high[index], to);
  }
}
