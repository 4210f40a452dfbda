package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.unetrpp.backend.cpu.Case.assertClose;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** What is special about the CPU's fused boxes. */
class CpuBoxesTest {
  /** Some dozen roundings of float32, 6e-8 each. */
  private static final double TOLERANCE = 1e-5;

  private static CpuBackend fused;

  @BeforeAll
  static void open() {
    fused = new CpuBackend(2);
  }

  @AfterAll
  static void close() {
    fused.close();
  }

  private static ChannelNorm.Batch batchNorm(Case random, int channels) {
    return new ChannelNorm.Batch(
        "norm",
        random.upload(random.around(1, channels)),
        random.random(channels, 0.5),
        random.random(channels, 0.5),
        random.upload(random.around(2, channels)));
  }

  private static Buffer kernel3(Case random, int in, int out) {
    return random.random(27L * in * out, 1 / Math.sqrt(27.0 * in));
  }

  @Test
  void channelsWithoutVarianceGoThroughInstanceNorm() {
    Grid grid = new Grid(1, Extents.cube(4));
    try (var _ = fused.scopes().open()) {
      Case random = new Case(fused, 3);
      ResidualBlockParameters parameters =
          new ResidualBlockParameters(
              "block",
              1,
              4,
              kernel3(random, 1, 4),
              new ChannelNorm.Instance(),
              kernel3(random, 4, 4),
              new ChannelNorm.Instance(),
              random.random(4, 1),
              null);
      Buffer y = random.poisoned(grid.rows() * 4);
      Buffer zeros = random.upload(new float[64]);
      fused.boxes().residualBlock(zeros, parameters, null, y, grid);
      assertThat(fused.download(y)).containsOnly(0);
    }
  }

  @Test
  void parametersChangedByUploadTakeEffect() {
    Grid grid = new Grid(1, Extents.cube(4));
    try (var _ = fused.scopes().open()) {
      Case random = new Case(fused, 3);
      ChannelNorm.Batch norm = batchNorm(random, 16);
      ResidualBlockParameters parameters =
          new ResidualBlockParameters(
              "block",
              16,
              16,
              kernel3(random, 16, 16),
              norm,
              kernel3(random, 16, 16),
              norm,
              null,
              null);
      Buffer x = random.random(grid.rows() * 16, 1);
      Buffer y = random.poisoned(x.elements());
      fused.boxes().residualBlock(x, parameters, null, y, grid);
      fused.upload(new float[16], norm.gamma());
      fused.upload(new float[16], norm.beta());
      fused.boxes().residualBlock(x, parameters, null, y, grid);
      double[] expected = fused.downloadDouble(x); // both branches are zero now
      for (int i = 0; i < expected.length; i++) {
        expected[i] = Math.max(expected[i], 0.01 * expected[i]);
      }
      assertClose(fused.download(y), expected, TOLERANCE);
    }
  }
}
