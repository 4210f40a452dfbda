package org.unetrpp.planning;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.AxisOrder;

/// The arithmetic of the published planner (nnU-Net's "v2.1" for 3-D): target spacing, order of
/// axes, and patches and batches fitted to a U-Net of a fixed reference memory. All but the target
/// spacing is in the transposed order of axes.
final class PublishedPlanner {
  /** A stage's pooling stops before an edge of the smallest feature map is shorter. */
  static final int SMALLEST_EDGE = 4;

  private static final double ANISOTROPY = 3;
  private static final double REFERENCE_MEMORY = 520_000_000 * 32.0 / 30;
  private static final int BASE_FEATURES = 32;
  private static final int MAX_FEATURES = 320;
  private static final int BLOCKS = 5;
  private static final int LAST_BLOCKS = 2;
  private static final int DEFAULT_BATCH = 2;
  private static final double LARGEST_BATCH_SHARE = 0.05;
  private static final double START_EDGE = 512;
  private static final double LOW_RESOLUTION_FACTOR = 4;
  private static final double COARSENING = 1.01;

  private final Fingerprint fingerprint;
  private final int classes;
  private final double[] target;
  private final AxisOrder order;
  private final double[] transposedTarget;
  private final double[] medianShape;

  /**
   * Plans for a data set.
   *
   * @param classes number of classes, background included
   */
  PublishedPlanner(Fingerprint fingerprint, int classes) {
    this.fingerprint = fingerprint;
    this.classes = classes;
    this.target = target();
    this.order = order(target);
    Spacing transposed = order.apply(Spacing.of(target));
    this.transposedTarget = transposed.toArray();
    this.medianShape = medianShape(transposed);
  }

  /**
   * A resolution to train at.
   *
   * @param spacing in millimeters
   * @param medianShape of the cases at that spacing, in voxels
   * @param patch the network's input
   * @param pools how often each axis is halved
   * @param batch patches of a batch
   * @param sliceWise whether augmentation leaves the slice axis alone
   */
  record Stage(
      Spacing spacing,
      Extents medianShape,
      Extents patch,
      Extents pools,
      int batch,
      boolean sliceWise) {}

  /** Voxel distances to resample to, in the order of the files' axes. */
  Spacing targetSpacing() {
    return Spacing.of(target);
  }

  /** Puts the axis of the largest target spacing first. */
  AxisOrder transposeForward() {
    return order;
  }

  /** The stage of the target spacing. */
  Stage fullResolution() {
    return stage(transposedTarget);
  }

  /** The stage below, where a patch sees less than a fourth of a typical case. */
  Optional<Stage> lowResolution() {
    Stage full = fullResolution();
    if (product(medianShape) / full.patch.voxels() < LOW_RESOLUTION_FACTOR) {
      return Optional.empty();
    }
    double[] spacing = transposedTarget.clone();
    Stage low = full;
    double voxels = product(medianShape);
    while (voxels > LOW_RESOLUTION_FACTOR * low.patch.voxels()) {
      coarsen(spacing);
      voxels = 1;
      for (int axis = 0; axis < 3; axis++) {
        voxels *= transposedTarget[axis] / spacing[axis] * medianShape[axis];
      }
      low = stage(spacing);
    }
    return 2 * low.medianShape.voxels() < full.medianShape.voxels()
        ? Optional.of(low)
        : Optional.empty();
  }

  private static void coarsen(double[] spacing) {
    double[] before = spacing.clone();
    double largest = max(before);
    boolean anyFine = Arrays.stream(before).anyMatch(axis -> largest / axis > 2);
    for (int axis = 0; axis < 3; axis++) {
      if (!anyFine || largest / before[axis] > 2) {
        spacing[axis] *= COARSENING;
      }
    }
  }

  private double[] target() {
    double[] target = new double[3];
    double[] sizes = new double[3];
    for (int axis = 0; axis < 3; axis++) {
      int along = axis;
      target[axis] = percentile(spacings(along), 50);
      sizes[axis] = percentile(along(fingerprint.sizes(), size -> size.along(along)), 50);
    }
    int worst = indexOfMax(target);
    double largestOther = 0;
    double smallestSize = Double.POSITIVE_INFINITY;
    for (int axis = 0; axis < 3; axis++) {
      if (axis != worst) {
        largestOther = Math.max(largestOther, target[axis]);
        smallestSize = Math.min(smallestSize, sizes[axis]);
      }
    }
    if (target[worst] > ANISOTROPY * largestOther && sizes[worst] * ANISOTROPY < smallestSize) {
      double fine = percentile(spacings(worst), 10);
      target[worst] = fine < largestOther ? largestOther + 1e-5 : fine;
    }
    return target;
  }

  private double[] spacings(int axis) {
    return along(fingerprint.spacings(), spacing -> spacing.along(axis));
  }

  private static AxisOrder order(double[] target) {
    int first = indexOfMax(target);
    return new AxisOrder(first, first == 0 ? 1 : 0, first == 2 ? 1 : 2);
  }

  private double[] medianShape(Spacing transposed) {
    double[] median = new double[3];
    for (int axis = 0; axis < 3; axis++) {
      double[] shapes = new double[fingerprint.sizes().size()];
      for (int i = 0; i < shapes.length; i++) {
        Spacing spacing = order.apply(fingerprint.spacings().get(i));
        Extents size = order.apply(fingerprint.sizes().get(i));
        shapes[i] = spacing.along(axis) / transposed.along(axis) * size.along(axis);
      }
      median[axis] = percentile(shapes, 50);
    }
    return median;
  }

  private Stage stage(double[] spacing) {
    int[] median = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      double exact = transposedTarget[axis] / spacing[axis] * medianShape[axis];
      median[axis] = Math.max(1, (int) Math.rint(exact));
    }
    Pooling pooling = Pooling.of(spacing, startPatch(spacing, median));
    double memory = memory(pooling);
    while (memory > REFERENCE_MEMORY) {
      pooling = smaller(pooling, spacing, median);
      memory = memory(pooling);
    }
    Extents patch = Extents.of(pooling.patch);
    return new Stage(
        Spacing.of(spacing),
        Extents.of(median),
        patch,
        Extents.of(pooling.pools),
        batch(memory, Extents.of(median), patch),
        Arrays.stream(pooling.patch).max().orElseThrow() / (double) patch.depth() > ANISOTROPY);
  }

  /** A cube in millimeters, no larger than a typical case. */
  private static int[] startPatch(double[] spacing, int[] median) {
    double largest = max(spacing);
    int[] patch = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      double edge = Math.rint(largest / spacing[axis] * START_EDGE);
      patch[axis] = (int) Math.min(edge, median[axis]);
    }
    return patch;
  }

  private static Pooling smaller(Pooling pooling, double[] spacing, int[] median) {
    int widest = 0;
    for (int axis = 1; axis < 3; axis++) {
      double share = (double) pooling.patch[axis] / median[axis];
      if (share >= (double) pooling.patch[widest] / median[widest]) {
        widest = axis;
      }
    }
    int[] reduced = pooling.patch.clone();
    reduced[widest] -= pooling.divisor(widest);
    int divisor = Pooling.of(spacing, reduced).divisor(widest);
    int[] patch = pooling.patch.clone();
    patch[widest] -= divisor;
    return Pooling.of(spacing, patch);
  }

  /** What the reference U-Net takes, in its own units. */
  private double memory(Pooling pooling) {
    int[] map = pooling.patch.clone();
    double voxels = product(map);
    double sum = voxels * (BLOCKS * BASE_FEATURES + fingerprint.channels().size() + classes);
    double features = BASE_FEATURES;
    int last = pooling.levels.size() - 1;
    for (int level = 0; level <= last; level++) {
      for (int axis = 0; axis < 3; axis++) {
        map[axis] /= pooling.levels.get(level).along(axis);
      }
      features = Math.min(2 * features, MAX_FEATURES);
      sum += (level < last ? BLOCKS : LAST_BLOCKS) * product(map) * features;
    }
    return sum;
  }

  private int batch(double memory, Extents median, Extents patch) {
    int fitting = (int) (Math.max(REFERENCE_MEMORY / memory, 1) * DEFAULT_BATCH);
    double dataset = (double) median.voxels() * fingerprint.sizes().size();
    long largest = Math.round(Math.rint(LARGEST_BATCH_SHARE * dataset / patch.voxels()));
    return (int) Math.max(1, Math.min(fitting, Math.max(largest, DEFAULT_BATCH)));
  }

  /**
   * How a patch is halved, level by level, until its feature maps are small.
   *
   * @param patch padded so that it can be
   * @param pools how often each axis is halved
   * @param levels factors of each level, 1 or 2
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Pooling(int[] patch, int[] pools, List<Extents> levels) {
    static Pooling of(double[] spacing, int[] patch) {
      double[] current = spacing.clone();
      int[] size = patch.clone();
      int[] pools = new int[3];
      List<Extents> levels = new ArrayList<>();
      Extents level = level(current, size);
      while (level.voxels() > 1) {
        levels.add(level);
        for (int axis = 0; axis < 3; axis++) {
          current[axis] *= level.along(axis);
          size[axis] = Math.ceilDiv(size[axis], level.along(axis));
          pools[axis] += level.along(axis) - 1;
        }
        level = level(current, size);
      }
      int[] padded = new int[3];
      for (int axis = 0; axis < 3; axis++) {
        padded[axis] = Math.ceilDiv(patch[axis], 1 << pools[axis]) << pools[axis];
      }
      return new Pooling(padded, pools, levels);
    }

    /** Halves the axes that are long enough and not much coarser than the finest. */
    static Extents level(double[] spacing, int[] size) {
      double finest = Arrays.stream(spacing).min().orElseThrow();
      int[] factors = new int[3];
      for (int axis = 0; axis < 3; axis++) {
        boolean halved = spacing[axis] / finest < 2 && size[axis] >= 2 * SMALLEST_EDGE;
        factors[axis] = halved ? 2 : 1;
      }
      return Extents.of(factors);
    }

    int divisor(int axis) {
      return 1 << pools[axis];
    }
  }

  private static <T> double[] along(List<T> values, ToDoubleFunction<T> number) {
    return values.stream().mapToDouble(number).toArray();
  }

  /** Linear between neighbors. */
  static double percentile(double[] values, double percent) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    double place = percent / 100 * (sorted.length - 1);
    int below = (int) place;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  }

  private static int indexOfMax(double[] values) {
    int index = 0;
    for (int i = 1; i < values.length; i++) {
      if (values[i] > values[index]) {
        index = i;
      }
    }
    return index;
  }

  private static double max(double[] values) {
    return values[indexOfMax(values)];
  }

  private static double product(double[] values) {
    return values[0] * values[1] * values[2];
  }

  private static double product(int[] values) {
    return (double) values[0] * values[1] * values[2];
  }
}
