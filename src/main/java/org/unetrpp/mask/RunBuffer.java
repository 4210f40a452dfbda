package org.unetrpp.mask;

import java.util.Arrays;

/** Collects the runs of a slice, row after row. */
final class RunBuffer {
  private static final int FIRST_CAPACITY = 256;

  private final int[] starts;
  private int rows;
  private int count;
  private int[] from = new int[FIRST_CAPACITY];
  private int[] to = new int[FIRST_CAPACITY];
  private byte[] labels = new byte[FIRST_CAPACITY];

  RunBuffer(int height) {
    starts = new int[height + 1];
  }

  /** Starts a slice. */
  void clear() {
    rows = 0;
    count = 0;
  }

  /** Adds a run after all others of its row. */
  void add(int start, int end, byte label) {
    if (count == from.length) {
      from = Arrays.copyOf(from, 2 * count);
      to = Arrays.copyOf(to, 2 * count);
      labels = Arrays.copyOf(labels, 2 * count);
    }
    from[count] = start;
    to[count] = end;
    labels[count] = label;
    count++;
  }

  /** Adds a run of a mask. */
  void add(int start, int end) {
    add(start, end, (byte) 0);
  }

  /** Adds a run of a mask, or makes the last of the row longer where they touch. */
  void join(int start, int end) {
    if (count > starts[rows] && to[count - 1] == start) {
      to[count - 1] = end;
    } else {
      add(start, end);
    }
  }

  /** Goes on to the next row. */
  void endRow() {
    rows++;
    starts[rows] = count;
  }

  MaskRuns.Slice mask() {
    return new MaskRuns.Slice(starts.clone(), Arrays.copyOf(from, count), Arrays.copyOf(to, count));
  }

  LabelRuns.Slice labels() {
    return new LabelRuns.Slice(mask(), Arrays.copyOf(labels, count));
  }
}
