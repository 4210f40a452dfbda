package org.unetrpp.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.Workers;

class DistanceTransformTest {
  private static final int SET = 1;
  private static final int ASKED = 2;

  @ParameterizedTest
  @CsvSource({
    "6, 7, 8, 1, 1, 1, 0.05",
    "6, 7, 8, 1, 1, 1, 0.6",
    "5, 9, 4, 3, 0.7, 0.7, 0.05",
    "9, 4, 7, 0.31, 1.7, 0.9, 0.02",
    "1, 1, 40, 2, 2, 0.3, 0.1",
    "40, 1, 1, 0.3, 2, 2, 0.1",
    "1, 30, 5, 5, 1.1, 0.4, 0.02",
    "50, 6, 5, 0.4, 1.1, 0.6, 0.02",
  })
  void distancesAreThoseOfTheNearestVoxel(
      int depth, int height, int width, double d, double h, double w, double share) {
    Extents extents = new Extents(depth, height, width);
    Spacing spacing = new Spacing(d, h, w);
    for (int seed = 0; seed < 8; seed++) {
      byte[] flags = flags(extents, share, new Random(seed));
      flags[flags.length / 2] |= SET;
      double[] distances = distances(flags, extents, spacing);
      // Each is the root of a sum of three squares: some units in the last place.
      assertThat(distances)
          .as("seed " + seed)
          .containsExactly(nearest(flags, extents, spacing), within(1e-13 * extents.voxels()));
    }
  }

  @Test
  void wholeDistancesAreExact() {
    Extents extents = new Extents(9, 40, 40);
    byte[] flags = new byte[Math.toIntExact(extents.voxels())];
    Arrays.fill(flags, (byte) ASKED);
    flags[0] |= SET;
    double[] distances = distances(flags, extents, new Spacing(2, 1, 1));
    assertThat(distances[(8 * 40 + 0) * 40 + 12]).isEqualTo(20); // 16, 0, 12
    assertThat(distances[(1 * 40 + 3) * 40 + 6]).isEqualTo(7); // 2, 3, 6
    assertThat(distances[39 * 40 + 39]).isEqualTo(Math.sqrt(39 * 39 * 2));
  }

  @Test
  void distancesToAnEmptySetAreInfinite() {
    Extents extents = new Extents(2, 3, 4);
    byte[] flags = new byte[24];
    flags[5] = ASKED;
    flags[23] = ASKED;
    assertThat(distances(flags, extents, new Spacing(1, 1, 1)))
        .containsExactly(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY);
  }

  @Test
  void transformMayBeAskedTwice() {
    Extents extents = new Extents(4, 5, 6);
    byte[] flags = flags(extents, 0.1, new Random(1));
    flags[0] |= SET;
    DistanceTransform transform =
        new DistanceTransform(voxels(flags, SET, extents), new Spacing(1, 2, 3));
    SurfaceVoxels asked = voxels(flags, ASKED, extents);
    try (Workers workers = Workers.of(2)) {
      assertThat(transform.distancesFrom(asked, workers))
          .containsExactly(transform.distancesFrom(asked, workers));
    }
  }

  private static double[] distances(byte[] flags, Extents extents, Spacing spacing) {
    try (Workers workers = Workers.of(2)) {
      return new DistanceTransform(voxels(flags, SET, extents), spacing)
          .distancesFrom(voxels(flags, ASKED, extents), workers);
    }
  }

  private static SurfaceVoxels voxels(byte[] flags, int flag, Extents extents) {
    int area = extents.height() * extents.width();
    return new SurfaceVoxels(
        extents,
        IntStream.range(0, extents.depth())
            .mapToObj(depth ->
                IntStream.range(0, area)
                    .filter(i -> (flags[depth * area + i] & flag) != 0)
                    .toArray())
            .toArray(int[][]::new));
  }

  private static byte[] flags(Extents extents, double share, Random random) {
    byte[] flags = new byte[Math.toIntExact(extents.voxels())];
    for (int i = 0; i < flags.length; i++) {
      int set = random.nextDouble() < share ? SET : 0;
      int asked = random.nextDouble() < 0.5 ? ASKED : 0;
      flags[i] = (byte) (set | asked);
    }
    return flags;
  }

  private static int count(byte[] flags, int flag) {
    int count = 0;
    for (byte value : flags) {
      count += (value & flag) == 0 ? 0 : 1;
    }
    return count;
  }

  private static double[] nearest(byte[] flags, Extents extents, Spacing spacing) {
    double[] distances = new double[count(flags, ASKED)];
    int found = 0;
    for (int i = 0; i < flags.length; i++) {
      if ((flags[i] & ASKED) != 0) {
        double nearest = Double.POSITIVE_INFINITY;
        for (int j = 0; j < flags.length; j++) {
          if ((flags[j] & SET) != 0) {
            nearest = Math.min(nearest, distance(i, j, extents, spacing));
          }
        }
        distances[found] = nearest;
        found++;
      }
    }
    return distances;
  }

  private static double distance(int i, int j, Extents extents, Spacing spacing) {
    int width = extents.width();
    int area = extents.height() * width;
    double depth = (i / area - j / area) * spacing.depth();
    double row = (i % area / width - j % area / width) * spacing.height();
    double column = (i % width - j % width) * spacing.width();
    return Math.sqrt(depth * depth + row * row + column * column);
  }
}
