package org.unetrpp.dataset;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class ClassLocationsTest {
  @Test
  void fewVoxelsAreAllKept() {
    List<int[]> locations = ClassLocations.of(new short[] {-1, 0, 1, 3, 1, -1, 3, 3}, 4);
    assertThat(locations).hasSize(3);
    assertThat(locations.get(0)).containsExactlyInAnyOrder(2, 4);
    assertThat(locations.get(1)).isEmpty();
    assertThat(locations.get(2)).containsExactlyInAnyOrder(3, 6, 7);
  }

  @Test
  void manyVoxelsAreSampledWithoutRepetition() {
    short[] labels = new short[30_000];
    Arrays.fill(labels, 5_000, 30_000, (short) 1);
    int[] sampled = ClassLocations.of(labels, 2).getFirst();
    assertThat(sampled).hasSize(10_000).doesNotHaveDuplicates();
    assertThat(Arrays.stream(sampled)).allMatch(voxel -> voxel >= 5_000);
  }

  @Test
  void ofVeryManyVoxelsOneInAHundredIsKept() {
    short[] labels = new short[1_200_050];
    Arrays.fill(labels, (short) 1);
    assertThat(ClassLocations.of(labels, 2).getFirst()).hasSize(12_001);
  }
}
