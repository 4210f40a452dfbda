package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;

class DropoutKernelsTest {
  /** All words of key and counter are in use. */
  private static final Dropout WIDE = new Dropout(0.37, 0x9E3779B97F4A7C15L, -7, 0x1_2345_6789_ABL);

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  private static float[] factors(Dropout dropout, long first, int count) {
    float[] factors = new float[count];
    new DropoutMask(dropout).factors(first, factors, count);
    return factors;
  }

  private static Pair ones(Twin twin, int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return twin.pair(ones);
  }

  @ParameterizedTest(name = "{1} values from {0} on")
  @CsvSource({
    "0, 5000",
    "3, 2",
    "5, 3",
    "7, 4097",
    "4294967299, 100", // 2^32 + 3
    "34359738367, 17", // the number of its block is past 2^32
    "1152921504606846977, 33",
  })
  void factorsAreThoseOfTheMask(long first, int count) {
    try (Twin twin = new Twin(DType.FLOAT32)) {
      for (Dropout dropout : new Dropout[] {WIDE, new Dropout(0.1, 3, 2, 1), Dropout.NONE}) {
        Pair x = ones(twin, count);
        Pair y = twin.room(count);
        twin.device().training().dropout(x.device(), y.device(), dropout, first);
        assertThat(twin.device().download(y.device())).isEqualTo(factors(dropout, first, count));
      }
    }
  }

  @ParameterizedTest(name = "{0} channels")
  @ValueSource(ints = {1, 4, 33, 64, 513})
  void everyVoxelOfAChannelHasItsFactor(int channels) {
    Grid grid = new Grid(3, new Extents(3, 5, 7));
    try (Twin twin = new Twin(DType.FLOAT32)) {
      Pair x = ones(twin, Math.toIntExact(grid.rows() * channels));
      twin.device().training().channelDropout(x.device(), x.device(), WIDE, grid, channels);
      float[] factors = factors(WIDE, 0, 3 * channels);
      float[] actual = twin.device().download(x.device());
      int item = grid.tokens() * channels;
      for (int i = 0; i < actual.length; i++) {
        assertThat(actual[i]).isEqualTo(factors[i / item * channels + i % channels]);
      }
    }
  }

  @Test
  void keptValuesAreScaledAndOthersZeroInEitherType() {
    for (DType type : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
      try (Twin twin = new Twin(type)) {
        Pair x = twin.unaligned(3001);
        twin.device().training().dropout(x.device(), x.device(), WIDE, 5);
        twin.reference().training().dropout(x.reference(), x.reference(), WIDE, 5);
        twin.assertSame(x);
      }
    }
  }
}
