package org.unetrpp.mask;

import java.util.Arrays;
import java.util.function.IntPredicate;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.Workers;

/**
 * The connected components of a set of voxels, numbered from 0 in the order of their first voxels.
 *
 * <p>Runs of neighboring rows that touch are united, slabs of slices side by side and then the
 * slabs. A component's root is its first run, so the numbers are the same for any number of
 * threads. 8 bytes a run beside the set.
 */
public final class Components {
  private static final int SLAB = 16;

  private final MaskRuns mask;

  /** Index of the first run of each slice among all, (D + 1). */
  private final int[] firstRuns;

  /** First a run of the same component before each run, or itself; later the component's number. */
  private final int[] parents;

  private long[] voxels = new long[16];
  private int count;

  private Components(MaskRuns mask) {
    this.mask = mask;
    int depth = mask.extents().depth();
    firstRuns = new int[depth + 1];
    for (int slice = 0; slice < depth; slice++) {
      firstRuns[slice + 1] = Math.addExact(firstRuns[slice], mask.slice(slice).count());
    }
    parents = new int[firstRuns[depth]];
    Arrays.setAll(parents, run -> run);
  }

  /** The components of a set. */
  public static Components of(MaskRuns mask, Connectivity connectivity, Workers workers) {
    Components components = new Components(mask);
    components.unite(connectivity, workers);
    components.number();
    return components;
  }

  /** How many there are. */
  public int count() {
    return count;
  }

  /** Size of a component. */
  public long voxels(int component) {
    return voxels[component];
  }

  /** The voxels of some components. */
  public MaskRuns mask(IntPredicate wanted, Workers workers) {
    Extents extents = mask.extents();
    MaskRuns.Slice[] slices = new MaskRuns.Slice[extents.depth()];
    workers.forEach(
        slices.length,
        () -> new RunBuffer(extents.height()),
        (buffer, depth) -> slices[depth] = mask(depth, wanted, buffer));
    return new MaskRuns(extents, slices);
  }

  private MaskRuns.Slice mask(int depth, IntPredicate wanted, RunBuffer buffer) {
    buffer.clear();
    MaskRuns.Slice runs = mask.slice(depth);
    for (int row = 0; row < mask.extents().height(); row++) {
      for (int run = runs.starts()[row]; run < runs.starts()[row + 1]; run++) {
        if (wanted.test(parents[firstRuns[depth] + run])) {
          buffer.add(runs.from()[run], runs.to()[run]);
        }
      }
      buffer.endRow();
    }
    return buffer.mask();
  }

  private void unite(Connectivity connectivity, Workers workers) {
    int depth = mask.extents().depth();
    workers.forEach(
        Math.ceilDiv(depth, SLAB),
        slab -> {
          int end = Math.min(depth, (slab + 1) * SLAB);
          for (int slice = slab * SLAB; slice < end; slice++) {
            uniteRows(slice, connectivity);
            if (slice > slab * SLAB) {
              uniteSlices(slice, connectivity);
            }
          }
        });
    for (int slice = SLAB; slice < depth; slice += SLAB) {
      uniteSlices(slice, connectivity);
    }
  }

  private void uniteRows(int slice, Connectivity connectivity) {
    for (int row = 1; row < mask.extents().height(); row++) {
      unite(slice, row - 1, slice, row, connectivity);
    }
  }

  /** Unites a slice with the one before it. */
  private void uniteSlices(int slice, Connectivity connectivity) {
    int reach =
        switch (connectivity) {
          case FACES -> 0;
          case CORNERS -> 1;
        };
    int height = mask.extents().height();
    for (int row = 0; row < height; row++) {
      int end = Math.min(height - 1, row + reach);
      for (int other = Math.max(0, row - reach); other <= end; other++) {
        unite(slice - 1, other, slice, row, connectivity);
      }
    }
  }

  private void unite(int slice, int row, int otherSlice, int otherRow, Connectivity connectivity) {
    MaskRuns.Slice runs = mask.slice(slice);
    MaskRuns.Slice others = mask.slice(otherSlice);
    int gap =
        switch (connectivity) {
          case FACES -> 1; // columns in common
          case CORNERS -> 0;
        };
    int run = runs.starts()[row];
    int other = others.starts()[otherRow];
    while (run < runs.starts()[row + 1] && other < others.starts()[otherRow + 1]) {
      int from = Math.max(runs.from()[run], others.from()[other]);
      int to = Math.min(runs.to()[run], others.to()[other]);
      if (to - from >= gap) {
        unite(firstRuns[slice] + run, firstRuns[otherSlice] + other);
      }
      if (runs.to()[run] < others.to()[other]) {
        run++;
      } else {
        other++;
      }
    }
  }

  private void unite(int run, int other) {
    int root = root(run);
    int otherRoot = root(other);
    if (root < otherRoot) {
      parents[otherRoot] = root;
    } else {
      parents[root] = otherRoot;
    }
  }

  private int root(int run) {
    int root = run;
    while (parents[root] != root) {
      parents[root] = parents[parents[root]];
      root = parents[root];
    }
    return root;
  }

  /** Roots come before all others of their component, so one pass gives every run its number. */
  private void number() {
    for (int depth = 0; depth < mask.extents().depth(); depth++) {
      MaskRuns.Slice runs = mask.slice(depth);
      for (int i = 0; i < runs.count(); i++) {
        int run = firstRuns[depth] + i;
        int component = parents[run] == run ? add() : parents[parents[run]];
        parents[run] = component;
        voxels[component] += runs.to()[i] - runs.from()[i];
      }
    }
  }

  private int add() {
    if (count == voxels.length) {
      voxels = Arrays.copyOf(voxels, 2 * count);
    }
    count++;
    return count - 1;
  }
}
