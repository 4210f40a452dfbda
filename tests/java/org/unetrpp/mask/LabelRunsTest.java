package org.unetrpp.mask;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.Workers;

class LabelRunsTest {
  private static final Extents EXTENTS = new Extents(5, 4, 37);

  private static byte[] random(long seed) {
    Random random = new Random(seed);
    byte[] labels = new byte[Math.toIntExact(EXTENTS.voxels())];
    byte label = 0;
    for (int voxel = 0; voxel < labels.length; voxel++) {
      if (random.nextInt(7) == 0) {
        label = (byte) (random.nextInt(3) * 100);
      }
      labels[voxel] = label;
    }
    return labels;
  }

  private static boolean[] of(int... labels) {
    boolean[] membership = new boolean[256];
    for (int label : labels) {
      membership[label] = true;
    }
    return membership;
  }

  /** Writes the set's voxels into a volume. */
  private static boolean[] voxels(MaskRuns mask) {
    boolean[] voxels = new boolean[Math.toIntExact(EXTENTS.voxels())];
    for (int depth = 0; depth < EXTENTS.depth(); depth++) {
      MaskRuns.Slice slice = mask.slice(depth);
      for (int row = 0; row < EXTENTS.height(); row++) {
        int last = -1;
        for (int run = slice.starts()[row]; run < slice.starts()[row + 1]; run++) {
          assertThat(slice.from()[run]).isGreaterThan(last).isLessThan(slice.to()[run]);
          last = slice.to()[run];
          for (int column = slice.from()[run]; column < last; column++) {
            voxels[(depth * EXTENTS.height() + row) * EXTENTS.width() + column] = true;
          }
        }
      }
    }
    return voxels;
  }

  @Test
  void masksHoldTheVoxelsOfTheirLabels() {
    try (Workers workers = Workers.of(2)) {
      for (long seed = 0; seed < 20; seed++) {
        byte[] labels = random(seed);
        LabelRuns runs = LabelRuns.of(labels, EXTENTS, workers);
        for (boolean[] wanted : new boolean[][] {of(100), of(100, 200), of(0), of(0, 200), of(7)}) {
          boolean[] found = voxels(runs.mask(wanted, workers));
          for (int voxel = 0; voxel < labels.length; voxel++) {
            assertThat(found[voxel]).isEqualTo(wanted[labels[voxel] & 0xff]);
          }
        }
      }
    }
  }

  @Test
  void foregroundIsWhatIsThereWithoutBackground() {
    try (Workers workers = Workers.of(1)) {
      assertThat(LabelRuns.of(random(1), EXTENTS, workers).foreground()).containsExactly(100, 200);
    }
  }

  @Test
  void removedRunsAreGoneAndOthersStay() {
    try (Workers workers = Workers.of(2)) {
      for (long seed = 0; seed < 20; seed++) {
        LabelRuns runs = LabelRuns.of(random(seed), EXTENTS, workers);
        LabelRuns left = runs.without(runs.mask(of(100), workers), workers);
        assertThat(voxels(left.mask(of(200), workers)))
            .isEqualTo(voxels(runs.mask(of(200), workers)));
        assertThat(voxels(left.mask(of(100), workers))).doesNotContain(true);
        assertThat(runs.without(runs.mask(of(100, 200), workers), workers).foreground()).isEmpty();
      }
    }
  }
}
