package org.unetrpp.metrics;

import java.util.stream.IntStream;
import org.unetrpp.mask.LabelRuns;
import org.unetrpp.mask.MaskRuns;

/** How often each label of one volume meets each label of another. */
final class LabelCounts {
  private static final int LABELS = 256;

  private final long voxels;

  /** For each pair of labels, that of the tested volume first, (256, 256). */
  private final long[] pairs = new long[LABELS * LABELS];

  private LabelCounts(long voxels) {
    this.voxels = voxels;
  }

  /** Counts the labels of two volumes of the same extents. */
  static LabelCounts of(LabelRuns test, LabelRuns reference) {
    LabelCounts counts = new LabelCounts(test.extents().voxels());
    for (int depth = 0; depth < test.extents().depth(); depth++) {
      LabelRuns.Slice tested = test.slice(depth);
      LabelRuns.Slice expected = reference.slice(depth);
      counts.countBackground(tested, LABELS);
      counts.countBackground(expected, 1);
      for (int row = 0; row < test.extents().height(); row++) {
        counts.countRow(tested, expected, row);
      }
    }
    long foreground = IntStream.range(1, counts.pairs.length).mapToLong(i -> counts.pairs[i]).sum();
    counts.pairs[0] = counts.voxels - foreground;
    return counts;
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

  private long sum(int start, int stride) {
    return IntStream.range(0, LABELS).mapToLong(i -> pairs[start + i * stride]).sum();
  }

  /**
   * Counts the labels of a slice as if the other volume had none.
   *
   * @param stride of its labels in the pairs
   */
  private void countBackground(LabelRuns.Slice slice, int stride) {
    MaskRuns.Slice runs = slice.runs();
    for (int run = 0; run < runs.count(); run++) {
      pairs[(slice.labels()[run] & 0xff) * stride] += runs.to()[run] - runs.from()[run];
    }
  }

  /** Moves what both volumes have labels for from their pairs with 0 to their own. */
  private void countRow(LabelRuns.Slice test, LabelRuns.Slice reference, int row) {
    MaskRuns.Slice tested = test.runs();
    MaskRuns.Slice expected = reference.runs();
    int run = tested.starts()[row];
    int other = expected.starts()[row];
    while (run < tested.starts()[row + 1] && other < expected.starts()[row + 1]) {
      int from = Math.max(tested.from()[run], expected.from()[other]);
      int to = Math.min(tested.to()[run], expected.to()[other]);
      if (from < to) {
        int label = (test.labels()[run] & 0xff) * LABELS;
        int otherLabel = reference.labels()[other] & 0xff;
        pairs[label + otherLabel] += to - from;
        pairs[label] -= to - from;
        pairs[otherLabel] -= to - from;
      }
      if (tested.to()[run] < expected.to()[other]) {
        run++;
      } else {
        other++;
      }
    }
  }
}
