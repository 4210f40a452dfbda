package org.unetrpp.planning;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.model.Architecture;

class TrainingMemoryTest {
  private static final Architecture SYNAPSE = Architecture.published("synapse").orElseThrow();

  @Test
  void growsWithTheBatchByTheSameAmountEachTime() {
    long one = TrainingMemory.estimateBytes(SYNAPSE, 1);
    long two = TrainingMemory.estimateBytes(SYNAPSE, 2);
    long three = TrainingMemory.estimateBytes(SYNAPSE, 3);
    assertThat(three - two).isEqualTo(two - one).isPositive();
  }

  @Test
  void growsWithPatchAndClasses() {
    long before = TrainingMemory.estimateBytes(SYNAPSE, 1);
    assertThat(TrainingMemory.estimateBytes(SYNAPSE.withPatch(new Extents(96, 128, 128)), 1))
        .isGreaterThan(before);
    assertThat(TrainingMemory.estimateBytes(SYNAPSE.withClasses(100), 1)).isGreaterThan(before);
  }

  @Test
  void largePatchesDoNotOverflow() {
    Architecture large = SYNAPSE.withPatch(new Extents(256, 512, 512));
    assertThat(TrainingMemory.estimateBytes(large, 16)).isGreaterThan(1L << 40);
  }
}
