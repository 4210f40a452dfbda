package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.Twin.Pair;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;

class ElementKernelsTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @ParameterizedTest(name = "{0} plus {1}, {2} values plus {3}")
  @CsvSource({
    "FLOAT32, BFLOAT16, 4100, 4100",
    "FLOAT32, BFLOAT16, 4101, 3",
    "BFLOAT16, FLOAT32, 4096, 1024",
    "BFLOAT16, FLOAT32, 4098, 1366",
    "BFLOAT16, BFLOAT16, 1023, 11",
  })
  void sumIsOfTheTypeOfItsFirstTerm(DType type, DType other, int count, int period) {
    try (Twin twin = new Twin(type)) {
      Pair a = twin.activations(count);
      Pair b = twin.pair(other, twin.values(period, 0, 1));
      Pair y = twin.room(count);
      twin.device().add(a.device(), b.device(), y.device());
      twin.reference().add(a.reference(), b.reference(), y.reference());
      twin.assertSame(y);
    }
  }

  @ParameterizedTest(name = "{0} by {1}, {2} runs of {3}")
  @CsvSource({
    "FLOAT32, FLOAT32, 3, 20001", // several chunks of each run
    "FLOAT32, BFLOAT16, 2, 16384",
    "BFLOAT16, FLOAT32, 5, 8193",
    "BFLOAT16, BFLOAT16, 700, 6",
    "BFLOAT16, FLOAT32, 1000, 1",
  })
  void runsAndTheirGradientsAreScaledByAnyType(DType type, DType other, int runs, int run) {
    try (Twin twin = new Twin(type)) {
      Pair x = twin.activations((long) runs * run);
      Pair dy = twin.activations((long) runs * run);
      Pair scales = twin.pair(other, twin.values(runs, 1, 1));
      Pair dscales = twin.parameters(runs);
      twin.device()
          .training()
          .scaleRunsBackward(dy.device(), x.device(), scales.device(), dscales.device(), run);
      twin.reference()
          .training()
          .scaleRunsBackward(
              dy.reference(), x.reference(), scales.reference(), dscales.reference(), run);
      twin.device().scaleRuns(x.device(), scales.device(), run);
      twin.reference().scaleRuns(x.reference(), scales.reference(), run);
      twin.assertSame(x, dy, dscales);
    }
  }

  @ParameterizedTest(name = "{0} to {1}")
  @CsvSource({
    "FLOAT32, FLOAT32",
    "FLOAT32, BFLOAT16",
    "BFLOAT16, FLOAT32",
    "BFLOAT16, BFLOAT16",
  })
  void copiesRoundToTheNearest(DType from, DType to) {
    try (Twin twin = new Twin(from)) {
      Pair x = twin.activations(4099).slice(1, 4097);
      Pair y = twin.room(to, 4097);
      twin.device().training().copy(x.device(), y.device());
      float[] expected = twin.device().download(x.device());
      if (to == DType.BFLOAT16) {
        for (int i = 0; i < expected.length; i++) {
          expected[i] = BFloat16.toFloat(BFloat16.fromFloat(expected[i]));
        }
      }
      assertThat(twin.device().download(y.device())).isEqualTo(expected);
    }
  }

  @ParameterizedTest(name = "{0}, {1} channels of {2} voxels")
  @CsvSource({
    "FLOAT32, 2, 3001", // the widest rows in shared memory
    "BFLOAT16, 3, 1030",
    "BFLOAT16, 70, 101", // tiles along both axes
    "FLOAT32, 1100, 33",
    "FLOAT32, 513, 2",
    "BFLOAT16, 5000, 1",
  })
  void channelsMoveFromFirstToLastAndBack(DType type, int channels, int voxels) {
    Grid grid = new Grid(3, new Extents(1, 1, voxels));
    try (Twin twin = new Twin(type)) {
      Pair x = twin.unaligned(grid.rows() * channels);
      Pair last = twin.room(x.device().elements());
      Pair first = twin.room(x.device().elements());
      twin.device().channelsLast(x.device(), last.device(), grid, channels);
      twin.device().channelsFirst(last.device(), first.device(), grid, channels);
      twin.reference().channelsLast(x.reference(), last.reference(), grid, channels);
      assertThat(twin.distance(last)).isZero();
      assertThat(twin.device().download(first.device()))
          .isEqualTo(twin.device().download(x.device()));
    }
  }

  @ParameterizedTest(name = "{0} rows of {1} channels")
  @CsvSource({"9000, 32", "9000, 33"})
  void gradientOfScalesIsTheSameEveryTime(int rows, int channels) {
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      Pair dy = twin.activations((long) rows * channels);
      Pair b = twin.activations((long) rows * channels);
      Pair db = twin.room((long) rows * channels);
      Pair gamma = twin.parameters(channels);
      Pair once = twin.pair(DType.FLOAT32, new float[channels]);
      Pair again = twin.pair(DType.FLOAT32, new float[channels]);
      for (Pair dgamma : new Pair[] {once, again}) {
        twin.device()
            .training()
            .addScaledBackward(
                dy.device(), gamma.device(), b.device(), db.device(), dgamma.device(), channels);
      }
      twin.reference()
          .training()
          .addScaledBackward(
              dy.reference(),
              gamma.reference(),
              b.reference(),
              db.reference(),
              once.reference(),
              channels);
      twin.assertSame(once, db);
      assertThat(twin.device().download(again.device()))
          .isEqualTo(twin.device().download(once.device()));
    }
  }
}
