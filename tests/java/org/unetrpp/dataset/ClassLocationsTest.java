package org.unetrpp.dataset;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ClassLocationsTest {
  @Test
  void fewVoxelsAreAllKept() {
    List<int[]> locations =
        ClassLocations.of(new short[] {-1, 0, 1, 3, 1, -1, 3, 3}, List.of(0, 1, 2, 3));
    assertThat(locations).hasSize(3);
    assertThat(locations.get(0)).containsExactlyInAnyOrder(2, 4);
    assertThat(locations.get(1)).isEmpty();
    assertThat(locations.get(2)).containsExactlyInAnyOrder(3, 6, 7);
  }

  /** Drawn by {@code numpy.random.RandomState(1234)} for classes 1, 10, 11, 2, 3, ..., 9. */
  @Test
  void classesDrawInTheOrderOfTheirValuesAsTexts() {
    short[] labels = new short[60];
    for (int voxel = 0; voxel < labels.length; voxel++) {
      labels[voxel] = (short) (voxel % 13 - 1);
    }
    List<int[]> locations = ClassLocations.of(labels, IntStream.range(0, 12).boxed().toList());
    assertThat(locations.get(0)).containsExactly(54, 2, 15, 28, 41);
    assertThat(locations.get(1)).containsExactly(3, 55, 42, 29, 16);
    assertThat(locations.get(2)).containsExactly(17, 43, 30, 4, 56);
    assertThat(locations.get(8)).containsExactly(36, 23, 10, 49);
    assertThat(locations.get(9)).containsExactly(37, 24, 50, 11);
    assertThat(locations.get(10)).containsExactly(12, 38, 25, 51);
  }

  @Test
  void manyVoxelsAreSampledWithoutRepetition() {
    short[] labels = new short[30_000];
    Arrays.fill(labels, 5_000, 30_000, (short) 1);
    int[] sampled = ClassLocations.of(labels, List.of(0, 1)).getFirst();
    assertThat(sampled).hasSize(10_000).doesNotHaveDuplicates();
    assertThat(Arrays.stream(sampled)).allMatch(voxel -> voxel >= 5_000);
  }

  @Test
  void ofVeryManyVoxelsOneInAHundredIsKept() {
    short[] labels = new short[1_200_050];
    Arrays.fill(labels, (short) 1);
    assertThat(ClassLocations.of(labels, List.of(0, 1)).getFirst()).hasSize(12_001);
  }
}
