package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.unetrpp.backend.cpu.Case.assertClose;

import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.backend.Boxes;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.PairedAttentionParameters;
import org.unetrpp.backend.PairedAttentionParameters.Concatenation;
import org.unetrpp.backend.PairedAttentionParameters.Projection;
import org.unetrpp.backend.PatchEmbeddingParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.ResidualBlockParameters.Tail;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/** Every box, fused and composed from primitives, against the reference backend in double. */
class CpuBoxesTest {
  /**
   * Both sides round: some hundred roundings of 6e-8, of which each next layer keeps the relative
   * size, because all of them normalize.
   */
  private static final double TOLERANCE = 1e-5;

  private static CpuBackend fused;
  private static CpuBackend composed;
  private static ReferenceBackend reference;

  @BeforeAll
  static void open() {
    fused = new CpuBackend(2);
    composed = CpuBackend.composed(2);
    reference = new ReferenceBackend();
  }

  @AfterAll
  static void close() {
    fused.close();
    composed.close();
    reference.close();
  }

  /** A box on random parameters; the same seed gives the same. */
  private interface BoxCall {
    Buffer run(Boxes boxes, Case random);
  }

  private static void bothAgree(BoxCall call) {
    double[] expected = result(reference, call, reference::downloadDouble);
    float[] actual = result(fused, call, fused::download);
    assertClose(actual, expected, TOLERANCE);
    assertClose(result(composed, call, composed::download), expected, TOLERANCE);
    float[] again = result(fused, call, fused::download);
    assertThat(again).isEqualTo(actual);
  }

  private static <T> T result(Backend backend, BoxCall call, Function<Buffer, T> download) {
    T values;
    try (var _ = backend.scopes().open()) {
      values = download.apply(call.run(backend.boxes(), new Case(backend, 11)));
    }
    assertThat(backend.allocator().bytesInUse()).isZero();
    return values;
  }

  static PairedAttentionParameters attention(
      Case random, int channels, int heads, int tokens, int projected, Style style) {
    int half = channels / 2;
    boolean tokenMajor = style == Style.TOKEN_MAJOR_SUM;
    Buffer shared = random.random((long) projected * tokens, 0.1);
    Buffer sharedBias = tokenMajor ? null : random.random(projected, 0.5);
    Projection keys = new Projection("E", shared, tokenMajor, sharedBias);
    Projection values =
        style == Style.TWO_PROJECTIONS
            ? new Projection(
                "F",
                random.random((long) projected * tokens, 0.1),
                false,
                random.random(projected, 0.5))
            : new Projection("F", shared, tokenMajor, sharedBias);
    return new PairedAttentionParameters(
        "block",
        channels,
        heads,
        tokens,
        projected,
        random.random((long) tokens * channels, 0.5),
        random.upload(random.around(1, channels)),
        random.random(channels, 0.2),
        random.random(channels, 1),
        random.upload(random.around(2, heads)),
        random.upload(random.around(2, heads)),
        random.random(4L * channels * channels, 0.3),
        keys,
        values,
        tokenMajor
            ? null
            : new Concatenation(
                random.random((long) half * channels, 0.3),
                random.random(half, 0.5),
                random.random((long) half * channels, 0.3),
                random.random(half, 0.5)));
  }

  /** The forms of attention in the published variants. */
  enum Style {
    SHARED_PROJECTION,
    TWO_PROJECTIONS,
    TOKEN_MAJOR_SUM
  }

  @ParameterizedTest(name = "C={0}, h={1}, N={2}, P={3}, {4}, batch {5}")
  @CsvSource({
    "32, 4, 1024, 64, SHARED_PROJECTION, 1",
    "32, 4, 1000, 64, TWO_PROJECTIONS, 2",
    "32, 4, 777, 64, TOKEN_MAJOR_SUM, 2",
    "64, 4, 1025, 16, SHARED_PROJECTION, 1",
    "128, 4, 400, 64, TWO_PROJECTIONS, 1",
    "256, 4, 64, 32, SHARED_PROJECTION, 2",
    "256, 4, 50, 32, TOKEN_MAJOR_SUM, 1",
    "12, 2, 199, 7, TWO_PROJECTIONS, 3",
    "12, 3, 31, 5, TOKEN_MAJOR_SUM, 2",
    "8, 1, 1, 3, SHARED_PROJECTION, 1",
    "4, 4, 70, 1, TWO_PROJECTIONS, 1"
  })
  void pairedAttention(int channels, int heads, int tokens, int projected, Style style, int batch) {
    bothAgree((boxes, random) -> {
      PairedAttentionParameters parameters =
          attention(random, channels, heads, tokens, projected, style);
      long elements = (long) batch * tokens * channels;
      Buffer y = random.poisoned(elements);
      boxes.pairedAttention(random.random(elements, 1), parameters, y, batch);
      return y;
    });
  }

  @ParameterizedTest(name = "{0}->{1}, {2} groups, batch {3}")
  @CsvSource({"1, 32, 1, 1", "4, 32, 4, 2", "32, 64, 32, 2", "3, 6, 3, 1"})
  void patchEmbedding(int in, int out, int groups, int batch) {
    Extents kernel = new Extents(2, 4, 4);
    Grid grid = new Grid(batch, kernel.times(new Extents(3, 5, 2)));
    bothAgree((boxes, random) -> {
      PatchEmbeddingParameters parameters =
          new PatchEmbeddingParameters(
              "stem",
              Convolution.patches(in, out, kernel),
              random.random(kernel.voxels() * in * out, 0.3),
              groups,
              random.upload(random.around(1, out)),
              random.random(out, 0.5));
      Buffer y = random.poisoned(grid.dividedBy(kernel).rows() * out);
      boxes.patchEmbedding(random.random(grid.rows() * in, 1), parameters, y, grid);
      return y;
    });
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

  private static void residualBlockAgrees(
      int in, int out, boolean batchNorm, boolean tail, Grid grid) {
    bothAgree((boxes, random) -> {
      ResidualBlockParameters parameters =
          new ResidualBlockParameters(
              "block",
              in,
              out,
              kernel3(random, in, out),
              batchNorm ? batchNorm(random, out) : new ChannelNorm.Instance(),
              kernel3(random, out, out),
              batchNorm ? batchNorm(random, out) : new ChannelNorm.Instance(),
              in == out ? null : random.random((long) in * out, 1),
              tail
                  ? new Tail("tail", random.random((long) out * out, 0.3), random.random(out, 1))
                  : null);
      @Nullable Buffer skip = tail ? random.random(grid.rows() * out, 1) : null;
      Buffer y = random.poisoned(grid.rows() * out);
      boxes.residualBlock(random.random(grid.rows() * in, 1), parameters, skip, y, grid);
      return y;
    });
  }

  @ParameterizedTest(name = "{0} channels, {1}x{2}x{3}, batch {4}, tail {5}")
  @CsvSource({
    "32, 4, 8, 8, 1, true",
    "64, 3, 4, 4, 2, true",
    "128, 2, 3, 5, 1, false",
    "256, 4, 4, 4, 2, true",
    "16, 1, 6, 7, 2, true",
    "5, 3, 2, 2, 1, true"
  })
  void residualBlockWithBatchNorm(int channels, int d, int h, int w, int batch, boolean tail) {
    residualBlockAgrees(channels, channels, true, tail, new Grid(batch, new Extents(d, h, w)));
  }

  @ParameterizedTest(name = "{0}->{1}, {2}x{3}x{4}, batch {5}, tail {6}")
  @CsvSource({
    "1, 16, 6, 20, 24, 1, false",
    "4, 16, 5, 12, 12, 2, false",
    "16, 16, 4, 20, 20, 2, false",
    "3, 5, 3, 7, 5, 2, false",
    "16, 16, 1, 9, 9, 1, false",
    "6, 6, 3, 4, 5, 1, true"
  })
  void residualBlockWithInstanceNorm(
      int in, int out, int d, int h, int w, int batch, boolean tail) {
    residualBlockAgrees(in, out, false, tail, new Grid(batch, new Extents(d, h, w)));
  }

  @ParameterizedTest(name = "{0}->{1} by {2}x{3}x{4}")
  @CsvSource({"32, 16, 2, 4, 4", "256, 128, 2, 2, 2", "5, 3, 1, 4, 4"})
  void upsample(int in, int out, int d, int h, int w) {
    Extents stride = new Extents(d, h, w);
    Grid grid = new Grid(2, new Extents(3, 4, 5));
    bothAgree((boxes, random) -> {
      UpsampleParameters parameters =
          new UpsampleParameters(
              "up", in, out, stride, random.random(stride.voxels() * in * out, 0.2));
      long elements = grid.times(stride).rows() * out;
      Buffer y = random.poisoned(elements);
      boxes.upsample(
          random.random(grid.rows() * in, 1), parameters, random.random(elements, 1), y, grid);
      return y;
    });
  }

  @ParameterizedTest
  @EnumSource(HeadOutput.class)
  void head(HeadOutput output) {
    headAgrees(16, 14, new Grid(2, new Extents(3, 30, 35)), output);
  }

  @Test
  void headOfOneVoxelAndOneClass() {
    headAgrees(3, 1, new Grid(1, Extents.cube(1)), HeadOutput.PROBABILITIES);
  }

  private static void headAgrees(int in, int classes, Grid grid, HeadOutput output) {
    bothAgree((boxes, random) -> {
      HeadParameters parameters =
          new HeadParameters(
              "out",
              in,
              classes,
              random.random((long) classes * in, 0.5),
              random.random(classes, 1));
      Buffer y = random.poisoned(grid.rows() * classes);
      boxes.head(random.random(grid.rows() * in, 1), parameters, output, y, grid);
      return y;
    });
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
