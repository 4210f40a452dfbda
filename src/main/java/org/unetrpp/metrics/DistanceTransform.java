package org.unetrpp.metrics;

import java.util.Arrays;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/**
 * Exact Euclidean distances to the nearest voxel of a set, one slice at a time, so that only slices
 * are held.
 *
 * <p>The squared distance is separable (Felzenszwalb and Huttenlocher 2012): along the depth it
 * follows from the set's last voxel before and first one after; along rows, then columns, it is the
 * lower envelope of parabolas. The time is linear in the voxels.
 */
final class DistanceTransform {
  /** An index so far before or after all others that sums of two stay whole numbers. */
  private static final int FAR = 1 << 29;

  private final byte[] flags;
  private final int set;
  private final Extents extents;
  private final Spacing spacing;
  private final int area;

  /** For each column along the depth, the last voxel of the set before the slice. */
  private final int[] before;

  /** For each column along the depth, the first voxel of the set in the slice or after it. */
  private final int[] after;

  private final double[] slice;
  private final Envelope envelope;

  /**
   * @param flags of each voxel (D, H, W)
   * @param set flag of the voxels that distances are taken to
   * @param spacing distance of neighboring voxels
   */
  DistanceTransform(byte[] flags, int set, Extents extents, Spacing spacing) {
    this.flags = flags;
    this.set = set;
    this.extents = extents;
    this.spacing = spacing;
    this.area = extents.height() * extents.width();
    this.before = new int[area];
    this.after = new int[area];
    this.slice = new double[area];
    this.envelope = new Envelope(Math.max(extents.height(), extents.width()));
  }

  /**
   * Distances of the voxels that have a flag, in the order of memory; infinite if the set is empty.
   *
   * @param from the flag
   * @param count of the voxels that have it
   */
  double[] distancesFrom(int from, int count) {
    Arrays.fill(before, -FAR);
    Arrays.fill(after, -FAR);
    boolean[] columns = new boolean[extents.width()];
    double[] distances = new double[count];
    int found = 0;
    for (int depth = 0; depth < extents.depth(); depth++) {
      if (markColumns(depth, from, columns)) {
        transformSlice(depth, columns);
        for (int i = 0; i < area; i++) {
          if ((flags[depth * area + i] & from) != 0) {
            distances[found] = Math.sqrt(slice[i]);
            found++;
          }
        }
      }
    }
    return distances;
  }

  /** Marks the columns of a slice where distances are asked for; returns whether there is one. */
  private boolean markColumns(int depth, int from, boolean[] columns) {
    Arrays.fill(columns, false);
    boolean any = false;
    int voxel = depth * area;
    for (int row = 0; row < extents.height(); row++) {
      for (int column = 0; column < columns.length; column++) {
        boolean asked = (flags[voxel] & from) != 0;
        columns[column] |= asked;
        any |= asked;
        voxel++;
      }
    }
    return any;
  }

  /** Squared distances of the slice, in the marked columns. */
  private void transformSlice(int depth, boolean[] columns) {
    int height = extents.height();
    int width = extents.width();
    for (int i = 0; i < area; i++) {
      slice[i] = squaredAlongDepth(depth, i);
    }
    for (int row = 0; row < height; row++) {
      envelope.replace(slice, row * width, 1, width, spacing.width());
    }
    for (int column = 0; column < width; column++) {
      if (columns[column]) {
        envelope.replace(slice, column, width, height, spacing.height());
      }
    }
  }

  private double squaredAlongDepth(int depth, int i) {
    while (after[i] < depth) {
      before[i] = after[i];
      after[i] = firstFrom(Math.max(after[i] + 1, 0), i);
    }
    int steps = Math.min(depth - before[i], after[i] - depth);
    if (steps >= extents.depth()) {
      return Double.POSITIVE_INFINITY;
    }
    double distance = steps * spacing.depth();
    return distance * distance;
  }

  private int firstFrom(int depth, int i) {
    for (int d = depth; d < extents.depth(); d++) {
      if ((flags[d * area + i] & set) != 0) {
        return d;
      }
    }
    return FAR;
  }

  /** The lower envelope of parabolas that stand on the values of a line. */
  private static final class Envelope {
    private final int[] position;
    private final double[] height;

    /** Where each parabola becomes the lowest, in steps. */
    private final double[] start;

    Envelope(int longest) {
      position = new int[longest];
      height = new double[longest];
      start = new double[longest];
    }

    /**
     * Replaces each value of a line by the least, over the line, of another value and the squared
     * distance to it.
     *
     * @param spacing distance of neighbors
     */
    void replace(double[] values, int offset, int stride, int count, double spacing) {
      int parabolas = build(values, offset, stride, count, spacing);
      if (parabolas == 0) {
        return; // all are infinite and stay so
      }
      int lowest = 0;
      for (int x = 0; x < count; x++) {
        while (lowest + 1 < parabolas && start[lowest + 1] < x) {
          lowest++;
        }
        double distance = (x - position[lowest]) * spacing;
        values[offset + x * stride] = height[lowest] + distance * distance;
      }
    }

    private int build(double[] values, int offset, int stride, int count, double spacing) {
      double twiceSquare = 2 * spacing * spacing;
      int parabolas = 0;
      for (int x = 0; x < count; x++) {
        double value = values[offset + x * stride];
        if (value == Double.POSITIVE_INFINITY) {
          continue;
        }
        double crossing = Double.NEGATIVE_INFINITY;
        while (parabolas > 0) {
          int last = position[parabolas - 1];
          crossing =
              (last + x) / 2.0 + (value - height[parabolas - 1]) / (twiceSquare * (x - last));
          if (crossing > start[parabolas - 1]) {
            break;
          }
          parabolas--;
        }
        position[parabolas] = x;
        height[parabolas] = value;
        start[parabolas] = parabolas == 0 ? Double.NEGATIVE_INFINITY : crossing;
        parabolas++;
      }
      return parabolas;
    }
  }
}
