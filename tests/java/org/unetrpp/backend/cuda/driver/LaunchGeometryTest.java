package org.unetrpp.backend.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LaunchGeometryTest {
  @ParameterizedTest
  @CsvSource({"0, 1", "1, 1", "256, 1", "257, 2", "4294967296, 16777216"})
  void aThreadForEachRoundsUpToBlocks(long count, int blocks) {
    assertThat(LaunchGeometry.threadEach(count, 256))
        .isEqualTo(new LaunchGeometry(blocks, 1, 1, 256, 1, 1, 0));
  }

  @ParameterizedTest
  @CsvSource({"0, 1", "1, 1", "8, 1", "9, 2"})
  void aWarpForEachRowRoundsUpToBlocks(long rows, int blocks) {
    assertThat(LaunchGeometry.warpEach(rows, 8))
        .isEqualTo(new LaunchGeometry(blocks, 1, 1, 32, 8, 1, 0));
  }

  @Test
  void gridAndSharedMemoryChangeAlone() {
    assertThat(LaunchGeometry.blocks(3, 128).grid(4, 5, 6).shared(77))
        .isEqualTo(new LaunchGeometry(4, 5, 6, 128, 1, 1, 77))
        .hasToString("grid (4, 5, 6), block (128, 1, 1), 77 bytes of shared memory");
  }

  @Test
  void theLargestGridAndBlockAreAllowed() {
    assertThat(new LaunchGeometry(Integer.MAX_VALUE, 65_535, 65_535, 4, 8, 32, 0)).isNotNull();
  }

  @ParameterizedTest
  @CsvSource({"0, 1, 1", "1, 0, 1", "1, 1, 0", "-1, 1, 1", "1, 65536, 1", "1, 1, 65536"})
  void refusesAGridThatNoDeviceHas(int x, int y, int z) {
    assertThatThrownBy(() -> new LaunchGeometry(x, y, z, 1, 1, 1, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("grid %d x %d x %d".formatted(x, y, z));
  }

  @ParameterizedTest
  @CsvSource({"0, 1, 1", "1, 0, 1", "1, 1, 0", "1025, 1, 1", "32, 8, 5", "65536, 65536, 1"})
  void refusesABlockThatNoDeviceHas(int x, int y, int z) {
    assertThatThrownBy(() -> new LaunchGeometry(1, 1, 1, x, y, z, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("block %d x %d x %d".formatted(x, y, z));
  }
}
