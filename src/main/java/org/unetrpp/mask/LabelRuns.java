package org.unetrpp.mask;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.SortedSet;
import java.util.TreeSet;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.pipeline.Workers;

/**
 * The foreground of a label volume as runs of one label along its rows: 9 bytes a run and 4 a row.
 * One pass over the voxels finds all labels; what comes after takes the time of the runs alone.
 */
public final class LabelRuns {
  private static final int LABELS = 256;
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final long EVERY_BYTE = 0x0101010101010101L;

  private final Extents extents;
  private final Slice[] slices;

  private LabelRuns(Extents extents, Slice[] slices) {
    this.extents = extents;
    this.slices = slices;
  }

  /**
   * The runs of a slice.
   *
   * @param runs of all labels; those of different labels may touch
   * @param labels of each run, unsigned, not 0
   */
  @SuppressWarnings("ArrayRecordComponent") // read only, never compared
  public record Slice(MaskRuns.Slice runs, byte[] labels) {}

  /** The runs of a volume. */
  public static LabelRuns of(LabelVolume volume, Workers workers) {
    return of(volume.labels(), volume.extents(), workers);
  }

  /**
   * The runs of labels.
   *
   * @param labels unsigned (D, H, W), read only
   */
  public static LabelRuns of(byte[] labels, Extents extents, Workers workers) {
    Slice[] slices = new Slice[extents.depth()];
    workers.forEach(
        slices.length,
        () -> new RunBuffer(extents.height()),
        (buffer, depth) -> slices[depth] = slice(labels, extents, depth, buffer));
    return new LabelRuns(extents, slices);
  }

  private static Slice slice(byte[] labels, Extents extents, int depth, RunBuffer buffer) {
    buffer.clear();
    int width = extents.width();
    for (int row = 0; row < extents.height(); row++) {
      int start = (depth * extents.height() + row) * width;
      int end = start + width;
      int from = start;
      while (from < end) {
        byte label = labels[from];
        int to = endOfRun(labels, label, from + 1, end);
        if (label != 0) {
          buffer.add(from - start, to - start, label);
        }
        from = to;
      }
      buffer.endRow();
    }
    return buffer.labels();
  }

  private static int endOfRun(byte[] labels, byte label, int from, int end) {
    long same = (label & 0xffL) * EVERY_BYTE;
    int index = from;
    for (; index + Long.BYTES <= end; index += Long.BYTES) {
      long different = (long) LONG.get(labels, index) ^ same;
      if (different != 0) {
        return index + Long.numberOfTrailingZeros(different) / Byte.SIZE;
      }
    }
    while (index < end && labels[index] == label) {
      index++;
    }
    return index;
  }

  /** Size of the volume. */
  public Extents extents() {
    return extents;
  }

  /** The runs of a slice; the arrays are the volume's own, to be read only. */
  public Slice slice(int depth) {
    return slices[depth];
  }

  /** The labels that there are, without 0. */
  public SortedSet<Integer> foreground() {
    boolean[] found = new boolean[LABELS];
    for (Slice slice : slices) {
      for (byte label : slice.labels) {
        found[label & 0xff] = true;
      }
    }
    SortedSet<Integer> labels = new TreeSet<>();
    for (int label = 1; label < LABELS; label++) {
      if (found[label]) {
        labels.add(label);
      }
    }
    return labels;
  }

  /**
   * The voxels of some labels as one set.
   *
   * @param membership whether each label belongs to it, (256)
   */
  public MaskRuns mask(boolean[] membership, Workers workers) {
    boolean[] wanted = membership.clone();
    if (membership[0]) { // there are no runs of 0: all but what does not belong to the set
      for (int label = 0; label < LABELS; label++) {
        wanted[label] = !membership[label];
      }
    }
    MaskRuns.Slice[] masks = new MaskRuns.Slice[slices.length];
    workers.forEach(
        slices.length,
        () -> new RunBuffer(extents.height()),
        (buffer, depth) -> masks[depth] = mask(slices[depth], wanted, buffer));
    MaskRuns mask = new MaskRuns(extents, masks);
    return membership[0] ? mask.complement(workers) : mask;
  }

  private MaskRuns.Slice mask(Slice slice, boolean[] wanted, RunBuffer buffer) {
    buffer.clear();
    MaskRuns.Slice runs = slice.runs;
    for (int row = 0; row < extents.height(); row++) {
      for (int run = runs.starts()[row]; run < runs.starts()[row + 1]; run++) {
        if (wanted[slice.labels[run] & 0xff]) {
          buffer.join(runs.from()[run], runs.to()[run]);
        }
      }
      buffer.endRow();
    }
    return buffer.mask();
  }

  /**
   * What is left without some voxels.
   *
   * @param removed runs each of which covers whole runs of this
   */
  public LabelRuns without(MaskRuns removed, Workers workers) {
    Slice[] left = new Slice[slices.length];
    workers.forEach(
        slices.length,
        () -> new RunBuffer(extents.height()),
        (buffer, depth) -> left[depth] = without(slices[depth], removed.slice(depth), buffer));
    return new LabelRuns(extents, left);
  }

  private Slice without(Slice slice, MaskRuns.Slice removed, RunBuffer buffer) {
    if (removed.count() == 0) {
      return slice;
    }
    buffer.clear();
    MaskRuns.Slice runs = slice.runs;
    for (int row = 0; row < extents.height(); row++) {
      int next = removed.starts()[row];
      for (int run = runs.starts()[row]; run < runs.starts()[row + 1]; run++) {
        while (next < removed.starts()[row + 1] && removed.to()[next] <= runs.from()[run]) {
          next++;
        }
        boolean covered =
            next < removed.starts()[row + 1] && removed.from()[next] <= runs.from()[run];
        if (!covered) {
          buffer.add(runs.from()[run], runs.to()[run], slice.labels[run]);
        }
      }
      buffer.endRow();
    }
    return buffer.labels();
  }
}
