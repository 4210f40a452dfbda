package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * The convolutions of few channels with what comes before and behind them, against the passes that
 * they replace, on an emulated device. Without that, {@link TensorConvolutionKernelsTest} has them.
 */
class NarrowConvolutionKernelsTest {
  private static final double SLOPE = 0.01;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  private static GroupStatistics instances(Twin twin, Grid grid, int channels) {
    Buffer coefficients = twin.device().groupNorm().coefficients(grid.batch(), channels);
    return new GroupStatistics(coefficients, null, channels, ChannelNorm.EPSILON);
  }

  /** Columns of 12x32 voxels that fill, underfill and overrun; batches; parts of the depth. */
  @ParameterizedTest(name = "{0} x {1}x{2}x{3} of {4} to {5} channels, normalized {6}")
  @CsvSource({
    "1, 5, 12, 32, 16, 16, true",
    "1, 5, 12, 32, 16, 16, false",
    "2, 7, 13, 33, 16, 16, true",
    "1, 13, 25, 40, 16, 16, true",
    "3, 1, 3, 5, 16, 16, true",
    "1, 3, 5, 9, 8, 8, true",
    "2, 4, 24, 20, 16, 32, true",
    "2, 6, 9, 31, 8, 24, true",
    "1, 1, 1, 1, 16, 16, false"
  })
  void oneLaunchGivesTheBytesOfThree(
      int batch, int d, int h, int w, int in, int out, boolean normalized) {
    Grid grid = new Grid(batch, new Extents(d, h, w));
    Convolution shape = Convolution.same3(in, out);
    for (boolean backwards : new boolean[] {false, true}) {
      try (Twin twin = new Twin(DType.BFLOAT16, backwards)) {
        TensorConvolutions tensor = new TensorConvolutions(twin.device().context());
        GroupNormKernels norm = twin.device().groupNorm();
        Buffer x = twin.activations(grid.rows() * in, 1.5, 3).device();
        Buffer weight = twin.parameters(27L * in * out).device();
        GroupStatistics ofInput = instances(twin, grid, in);
        norm.measure(x, ofInput, grid, in);
        Buffer read = x;
        if (normalized) {
          read = twin.room(x.elements()).device();
          norm.apply(x, ofInput.coefficients(), null, null, null, SLOPE, read, grid, in);
        }
        Buffer expected = twin.room(grid.rows() * out).device();
        tensor.forward(read, weight, Epilogue.NONE, expected, grid, shape);

        Buffer y = twin.room(grid.rows() * out).device();
        GroupStatistics statistics = instances(twin, grid, out);
        assertThat(tensor.takesPrologue(x, y, grid, shape)).isTrue();
        Prologue prologue = normalized ? new Prologue(ofInput.coefficients(), SLOPE) : null;
        assertThat(tensor.forward(x, prologue, weight, statistics, y, grid, shape)).isTrue();
        assertThat(twin.device().download(y)).containsExactly(twin.device().download(expected));
        ChannelStatistics.assertOf(
            twin.device().download(statistics.coefficients()),
            out,
            0,
            twin.device().downloadDouble(y),
            batch,
            out);
      }
    }
  }

  @Test
  void moreChannelsHaveNoPrologue() {
    Grid grid = new Grid(1, Extents.cube(4));
    Convolution shape = Convolution.same3(32, 16);
    try (Twin twin = new Twin(DType.BFLOAT16)) {
      TensorConvolutions tensor = new TensorConvolutions(twin.device().context());
      Buffer x = twin.activations(grid.rows() * 32).device();
      Buffer weight = twin.parameters(27L * 32 * 16).device();
      Buffer y = twin.room(grid.rows() * 16).device();
      GroupStatistics statistics = instances(twin, grid, 16);
      Prologue prologue = new Prologue(instances(twin, grid, 32).coefficients(), SLOPE);
      assertThat(tensor.takesPrologue(x, y, grid, shape)).isFalse();
      assertThat(tensor.forward(x, null, weight, statistics, y, grid, shape)).isFalse();
      assertThatThrownBy(() -> tensor.forward(x, prologue, weight, statistics, y, grid, shape))
          .hasMessage("tensor has no prologues");
    }
  }

  /** What a device does that has one block at a time on each of 132 multiprocessors. */
  @Test
  void depthIsCutSoThatAllBlocksAreDoneSoonest() {
    ColumnWalk synapse = new ColumnWalk(new Grid(1, new Extents(64, 128, 128)), 1);
    assertThat(synapse.candidates(132).getFirst()).isEqualTo(new ColumnWalk.Part(22));
    ColumnWalk flat = new ColumnWalk(new Grid(1, new Extents(1, 12, 32)), 1);
    assertThat(flat.candidates(132)).containsExactly(new ColumnWalk.Part(1));
  }
}
