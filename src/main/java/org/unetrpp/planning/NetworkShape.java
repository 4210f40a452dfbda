package org.unetrpp.planning;

import java.util.ArrayList;
import java.util.List;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.Fusion;
import org.unetrpp.model.TokenProjection;

/**
 * The form of UNETR++ for a patch: strides by the published planner's pooling, sizes as published
 * or, for small patches, smaller.
 */
final class NetworkShape {
  /** Patches below get a network of fewer channels and blocks. */
  static final long SMALL_PATCH = 200_000;

  /** Patches below are divided by 2 in the stem, others by up to 4. */
  private static final long FINE_STEM_PATCH = 300_000;

  /** An axis of thick slices shorter than this keeps its slices apart in the stem. */
  private static final int SHORTEST_MERGED_AXIS = 32;

  private static final int HEADS = 4;
  private static final int BASE_WIDTH = 32;
  private static final int FEATURES = 16;

  private final Extents stem;
  private final List<Extents> downsampling;
  private final Extents divisor;

  private NetworkShape(Extents stem, List<Extents> downsampling) {
    this.stem = stem;
    this.downsampling = downsampling;
    Extents product = stem;
    for (Extents stride : downsampling) {
      product = product.times(stride);
    }
    this.divisor = product;
  }

  /**
   * The strides for a patch.
   *
   * @param spacing of its voxels
   */
  static NetworkShape of(Extents patch, Spacing spacing) {
    double[] current = spacing.toArray();
    int[] grid = patch.toArray();
    Extents stem = PublishedPlanner.Pooling.level(current, grid);
    pool(stem, current, grid);
    if (patch.voxels() >= FINE_STEM_PATCH) {
      Extents second =
          withoutShortSlices(PublishedPlanner.Pooling.level(current, grid), stem, grid);
      pool(second, current, grid);
      stem = stem.times(second);
    }
    List<Extents> downsampling = new ArrayList<>();
    for (int stage = 1; stage < Architecture.STAGES; stage++) {
      Extents stride = PublishedPlanner.Pooling.level(current, grid);
      pool(stride, current, grid);
      downsampling.add(stride);
    }
    return new NetworkShape(stem, List.copyOf(downsampling));
  }

  /**
   * The strides for a patch by the pooling of a published plan, whose levels beyond the network's
   * stages do not count.
   */
  static NetworkShape of(Extents patch, List<Extents> pooling) {
    int merged = patch.voxels() >= FINE_STEM_PATCH ? 2 : 1;
    Extents stem = Extents.cube(1);
    for (int level = 0; level < merged; level++) {
      stem = stem.times(level(pooling, level));
    }
    List<Extents> downsampling = new ArrayList<>();
    for (int stage = 1; stage < Architecture.STAGES; stage++) {
      downsampling.add(level(pooling, merged + stage - 1));
    }
    return new NetworkShape(stem, List.copyOf(downsampling));
  }

  private static Extents level(List<Extents> pooling, int level) {
    return level < pooling.size() ? pooling.get(level) : Extents.cube(1);
  }

  private static void pool(Extents factors, double[] spacing, int[] grid) {
    for (int axis = 0; axis < 3; axis++) {
      spacing[axis] *= factors.along(axis);
      grid[axis] = Math.ceilDiv(grid[axis], factors.along(axis));
    }
  }

  /** The second factor of the stem, 1 on an axis of few slices that the first left alone. */
  private static Extents withoutShortSlices(Extents second, Extents first, int[] grid) {
    int[] factors = second.toArray();
    for (int axis = 0; axis < 3; axis++) {
      if (first.along(axis) == 1 && grid[axis] < SHORTEST_MERGED_AXIS) {
        factors[axis] = 1;
      }
    }
    return Extents.of(factors);
  }

  /** What a patch must be a multiple of. */
  Extents divisor() {
    return divisor;
  }

  /** The next larger patch that the strides divide. */
  Extents roundedUp(Extents patch) {
    int[] rounded = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      int step = divisor.along(axis);
      rounded[axis] = Math.ceilDiv(patch.along(axis), step) * step;
    }
    return Extents.of(rounded);
  }

  /**
   * The network.
   *
   * @param patch a multiple of {@link #divisor}
   * @param classes number of classes, background included
   */
  Architecture network(Extents patch, int channels, int classes) {
    boolean small = patch.voxels() < SMALL_PATCH;
    int depth = small ? 2 : 3;
    int width = width(channels);
    List<Integer> projections = new ArrayList<>();
    Extents grid = patch.dividedBy(stem);
    int decoderProjection = 64;
    for (int stage = 0; stage < Architecture.STAGES; stage++) {
      if (stage > 0) {
        grid = grid.dividedBy(downsampling.get(stage - 1));
      }
      boolean last = stage == Architecture.STAGES - 1;
      projections.add((int) Math.min(last ? 32 : 64, grid.voxels()));
      if (!last) {
        decoderProjection = (int) Math.min(decoderProjection, grid.voxels());
      }
    }
    return new Architecture(
        channels,
        classes,
        patch,
        stem,
        downsampling,
        List.of(width, 2 * width, 4 * width, small ? 4 * width : 8 * width),
        List.of(depth, depth, depth, depth),
        depth,
        projections,
        decoderProjection,
        FEATURES,
        HEADS,
        TokenProjection.SHARED_LINEAR,
        Fusion.CONCATENATE,
        1,
        0.15,
        0.1);
  }

  /** 32, or the next number above that heads and input channels divide. */
  private static int width(int channels) {
    int width = BASE_WIDTH;
    while (width % channels != 0 || width % HEADS != 0) {
      width += HEADS;
    }
    return width;
  }
}
