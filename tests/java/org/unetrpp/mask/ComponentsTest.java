package org.unetrpp.mask;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.Workers;

class ComponentsTest {
  private static final List<Extents> SIZES =
      List.of(
          new Extents(1, 1, 1),
          new Extents(1, 9, 13),
          new Extents(40, 1, 6),
          new Extents(37, 8, 11),
          new Extents(5, 7, 64));

  @ParameterizedTest
  @EnumSource
  void componentsAreThoseOfAFlood(Connectivity connectivity) {
    for (Extents extents : SIZES) {
      for (int seed = 0; seed < 12; seed++) {
        byte[] labels = random(extents, 0.1 + 0.07 * seed, new Random(seed));
        int[] flooded = flood(labels, extents, connectivity);
        for (int threads = 1; threads <= 3; threads += 2) {
          assertThat(components(labels, extents, connectivity, threads)).isEqualTo(flooded);
        }
      }
    }
  }

  @Test
  void sizesAreInVoxels() {
    byte[] labels = {1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0};
    Extents extents = new Extents(1, 3, 4);
    try (Workers workers = Workers.of(1)) {
      MaskRuns mask = LabelRuns.of(labels, extents, workers).mask(of(1), workers);
      Components faces = Components.of(mask, Connectivity.FACES, workers);
      assertThat(LongStream.range(0, faces.count()).map(i -> faces.voxels((int) i)))
          .containsExactly(2L, 2L, 1L, 1L);
      assertThat(Components.of(mask, Connectivity.CORNERS, workers).count()).isEqualTo(3);
    }
  }

  @Test
  void anEmptyMaskHasNone() {
    try (Workers workers = Workers.of(2)) {
      Extents extents = new Extents(20, 3, 4);
      MaskRuns mask = LabelRuns.of(new byte[240], extents, workers).mask(of(1), workers);
      assertThat(Components.of(mask, Connectivity.FACES, workers).count()).isZero();
    }
  }

  /** Half of the voxels are of label 1, some of the rest of label 2. */
  private static byte[] random(Extents extents, double share, Random random) {
    byte[] labels = new byte[Math.toIntExact(extents.voxels())];
    for (int voxel = 0; voxel < labels.length; voxel++) {
      labels[voxel] = (byte) (random.nextDouble() < share ? 1 : random.nextInt(4) == 0 ? 2 : 0);
    }
    return labels;
  }

  private static boolean[] of(int label) {
    boolean[] membership = new boolean[256];
    membership[label] = true;
    return membership;
  }

  /** The number of the component of each voxel of label 1, from 1; else 0. */
  private static int[] components(
      byte[] labels, Extents extents, Connectivity connectivity, int threads) {
    int[] numbers = new int[labels.length];
    try (Workers workers = Workers.of(threads)) {
      MaskRuns mask = LabelRuns.of(labels, extents, workers).mask(of(1), workers);
      Components components = Components.of(mask, connectivity, workers);
      for (int i = 0; i < components.count(); i++) {
        int component = i;
        MaskRuns one = components.mask(number -> number == component, workers);
        List<Integer> voxels = voxels(one);
        assertThat(components.voxels(component)).isEqualTo(voxels.size());
        voxels.forEach(voxel -> numbers[voxel] = component + 1);
      }
    }
    return numbers;
  }

  private static List<Integer> voxels(MaskRuns mask) {
    List<Integer> voxels = new ArrayList<>();
    Extents extents = mask.extents();
    for (int depth = 0; depth < extents.depth(); depth++) {
      MaskRuns.Slice slice = mask.slice(depth);
      for (int row = 0; row < extents.height(); row++) {
        int start = (depth * extents.height() + row) * extents.width();
        for (int run = slice.starts()[row]; run < slice.starts()[row + 1]; run++) {
          IntStream.range(start + slice.from()[run], start + slice.to()[run]).forEach(voxels::add);
        }
      }
    }
    return voxels;
  }

  private static int[] flood(byte[] labels, Extents extents, Connectivity connectivity) {
    int[] numbers = new int[labels.length];
    int count = 0;
    for (int first = 0; first < labels.length; first++) {
      if (labels[first] == 1 && numbers[first] == 0) {
        count++;
        numbers[first] = count;
        ArrayDeque<Integer> queue = new ArrayDeque<>(List.of(first));
        while (!queue.isEmpty()) {
          for (int neighbor : neighbors(queue.remove(), extents, connectivity)) {
            if (labels[neighbor] == 1 && numbers[neighbor] == 0) {
              numbers[neighbor] = count;
              queue.add(neighbor);
            }
          }
        }
      }
    }
    return numbers;
  }

  private static int[] neighbors(int voxel, Extents extents, Connectivity connectivity) {
    int width = extents.width();
    int height = extents.height();
    int[] at = {voxel / width / height, voxel / width % height, voxel % width};
    return IntStream.range(0, 27)
        .filter(step -> {
          int[] to = moved(at, step);
          int apart = IntStream.range(0, 3).map(i -> Math.abs(to[i] - at[i])).sum();
          boolean near = connectivity == Connectivity.CORNERS || apart == 1;
          return apart > 0
              && near
              && IntStream.range(0, 3).allMatch(i -> to[i] >= 0 && to[i] < extents.along(i));
        })
        .map(step -> {
          int[] to = moved(at, step);
          return (to[0] * height + to[1]) * width + to[2];
        })
        .toArray();
  }

  private static int[] moved(int[] at, int step) {
    return new int[] {at[0] + step / 9 - 1, at[1] + step / 3 % 3 - 1, at[2] + step % 3 - 1};
  }
}
