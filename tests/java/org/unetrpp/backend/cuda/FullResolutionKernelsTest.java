package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.FullResolutionParameters;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.backend.cuda.FullResolutionKernels.Decoding;
import org.unetrpp.backend.cuda.FullResolutionKernels.Encoded;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/**
 * The kernels of the path at full resolution on an emulated device, each against the kernels that
 * it replaces. The whole path is among the boxes that are held against the reference.
 */
class FullResolutionKernelsTest {
  private static final int CHANNELS = 16;
  private static final int FEATURES = 32;
  private static final int PADDED = 8; // channels that kernels for tensor cores take
  private static final int TAPS = 27;
  private static final float SLOPE = (float) ResidualBlockParameters.SLOPE;

  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  record Case(int batch, Extents coarse, int patchDepth, int imageChannels, boolean backwards) {
    @Override
    public String toString() {
      return "%d x %s of %d channels, backwards %s"
          .formatted(batch, grid().extents(), imageChannels, backwards);
    }

    Extents stride() {
      return new Extents(patchDepth, 4, 4);
    }

    Grid grid() {
      return new Grid(batch, coarse.times(stride()));
    }
  }

  /** Columns of 12x32 voxels that fill, underfill and overrun; the published strides. */
  static Stream<Case> cases() {
    return Stream.of(false, true)
        .flatMap(backwards ->
            Stream.of(
                new Case(1, new Extents(3, 4, 9), 2, 1, backwards),
                new Case(2, new Extents(2, 2, 3), 1, 1, backwards),
                new Case(1, new Extents(2, 7, 3), 4, 4, backwards),
                new Case(2, new Extents(1, 3, 8), 4, 4, backwards),
                new Case(1, new Extents(1, 1, 1), 1, 1, backwards)));
  }

  /** A case on a device, with parameters. */
  private record Fixture(Twin twin, Case c, FullResolutionParameters parameters) {
    static Fixture of(Twin twin, Case c) {
      int in = c.imageChannels;
      return new Fixture(
          twin,
          c,
          new FullResolutionParameters(
              "decoder2",
              new ResidualBlockParameters(
                  "encoder1",
                  in,
                  CHANNELS,
                  parameters(twin, TAPS * in * CHANNELS, 0.3),
                  new ChannelNorm.Instance(),
                  parameters(twin, TAPS * CHANNELS * CHANNELS, 0.05),
                  new ChannelNorm.Instance(),
                  parameters(twin, in * CHANNELS, 1),
                  null),
              new UpsampleParameters(
                  "up",
                  FEATURES,
                  CHANNELS,
                  c.stride(),
                  parameters(
                      twin, FEATURES * CHANNELS * Math.toIntExact(c.stride().voxels()), 0.2)),
              new ResidualBlockParameters(
                  "decoder2.decoder_block.0",
                  CHANNELS,
                  CHANNELS,
                  parameters(twin, TAPS * CHANNELS * CHANNELS, 0.05),
                  new ChannelNorm.Instance(),
                  parameters(twin, TAPS * CHANNELS * CHANNELS, 0.05),
                  new ChannelNorm.Instance(),
                  null,
                  null),
              new HeadParameters(
                  "out1",
                  CHANNELS,
                  14,
                  parameters(twin, 14 * CHANNELS, 0.5),
                  parameters(twin, 14, 1))));
    }

    private static Buffer parameters(Twin twin, int count, double deviation) {
      return twin.pair(DType.FLOAT32, twin.values(count, 0, deviation)).device();
    }

    FullResolutionKernels kernels() {
      return new FullResolutionKernels(twin.device().context());
    }

    Grid grid() {
      return c.grid();
    }

    Buffer activations(int channels) {
      return twin.activations(grid().rows() * channels, 0.5, 2).device();
    }

    Buffer room(int channels) {
      return twin.room(grid().rows() * channels).device();
    }

    GroupStatistics statistics(int channels) {
      Buffer coefficients = twin.device().groupNorm().coefficients(c.batch, channels);
      return new GroupStatistics(coefficients, null, channels, ChannelNorm.EPSILON);
    }

    /** Means, and factors whose products are exact, however they are added. */
    GroupStatistics exactStatistics(int channels) {
      float[] values = twin.values(2L * c.batch * channels, 0, 1);
      for (int i = 1; i < values.length; i += 2) {
        values[i] = i % 3 == 0 ? 0.5f : 0.25f;
      }
      GroupStatistics statistics = statistics(channels);
      twin.device().upload(values, statistics.coefficients());
      return statistics;
    }

    float[] values(Buffer buffer) {
      return twin.device().download(buffer);
    }

    void convolve(Buffer x, Buffer weight, Buffer y, int in) {
      new TensorConvolutions(twin.device().context())
          .forward(x, weight, Epilogue.NONE, y, grid(), Convolution.same3(in, CHANNELS));
    }

    void requireStatistics(GroupStatistics statistics, int all, int first, double[] values) {
      ChannelStatistics.assertOf(
          values(statistics.coefficients()), all, first, values, c.batch, CHANNELS);
    }
  }

  private static float rounded(float value) {
    return BFloat16.toFloat(BFloat16.fromFloat(value));
  }

  /** As many channels as kernels for tensor cores take, those that there are not zeros. */
  private static float[] padded(float[] values, int run, int channels) {
    float[] padded = new float[values.length / channels * PADDED];
    for (int i = 0; i < values.length; i++) {
      int row = i / run / channels;
      padded[(row * PADDED + i / run % channels) * run + i % run] = values[i];
    }
    return padded;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void encodingGivesTheBytesOfItsParts(Case c) {
    try (Twin twin = new Twin(DType.BFLOAT16, c.backwards)) {
      Fixture f = Fixture.of(twin, c);
      ResidualBlockParameters p = f.parameters.encoder();
      Buffer x = f.activations(c.imageChannels);
      Encoded encoded = new Encoded(f.statistics(2 * CHANNELS), f.room(16), f.statistics(16));
      FullResolutionKernels kernels = f.kernels();
      Buffer moments = twin.device().context().floats(kernels.momentsOfEncoder(f.grid()));
      kernels.encode(x, p, encoded, moments, f.grid());

      Buffer image = twin.pair(padded(f.values(x), 1, c.imageChannels)).device();
      float[] weights = padded(f.values(p.weight1()), TAPS, c.imageChannels);
      Buffer first = f.room(CHANNELS);
      f.convolve(image, twin.pair(DType.FLOAT32, weights).device(), first, PADDED);
      f.requireStatistics(encoded.ofImage(), 32, 0, twin.device().downloadDouble(first));
      f.requireStatistics(encoded.ofImage(), 32, 16, residuals(f, f.values(x)));

      GroupStatistics ofFirst = f.statistics(CHANNELS);
      float[] both = f.values(encoded.ofImage().coefficients());
      float[] own = new float[both.length / 2];
      for (int i = 0; i < own.length; i++) {
        own[i] = both[i / 32 * 64 + i % 32];
      }
      twin.device().upload(own, ofFirst.coefficients());
      Buffer hidden = f.room(CHANNELS);
      twin.device()
          .groupNorm()
          .apply(
              first, ofFirst.coefficients(), null, null, null, SLOPE, hidden, f.grid(), CHANNELS);
      Buffer expected = f.room(CHANNELS);
      f.convolve(hidden, p.weight2(), expected, CHANNELS);
      assertThat(f.values(encoded.convolved())).containsExactly(f.values(expected));
      f.requireStatistics(encoded.ofConvolved(), 16, 0, twin.device().downloadDouble(expected));
    }
  }

  /** The shortcut of the image, by rounded weights. */
  private static double[] residuals(Fixture f, float[] x) {
    int in = f.c.imageChannels;
    float[] weights = f.values(Objects.requireNonNull(f.parameters.encoder().shortcut()));
    double[] residuals = new double[x.length / in * CHANNELS];
    for (int i = 0; i < residuals.length; i++) {
      for (int channel = 0; channel < in; channel++) {
        double weight = rounded(weights[i % CHANNELS * in + channel]);
        residuals[i] += weight * x[i / CHANNELS * in + channel];
      }
    }
    return residuals;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void decodingGivesTheBytesOfItsParts(Case c) {
    try (Twin twin = new Twin(DType.BFLOAT16, c.backwards)) {
      Fixture f = Fixture.of(twin, c);
      Buffer x = f.activations(c.imageChannels);
      Buffer features = twin.activations(c.batch * c.coarse.voxels() * FEATURES).device();
      Encoded encoded =
          new Encoded(f.exactStatistics(32), f.activations(16), f.exactStatistics(16));
      Decoding decoding = new Decoding(f.room(16), f.room(16), f.statistics(16));
      f.kernels().decode(x, f.parameters, encoded, features, decoding, f.grid());

      Buffer sum = twin.pair(sum(f, x, features, encoded)).device();
      assertThat(f.values(decoding.sum())).containsExactly(f.values(sum));
      Buffer expected = f.room(CHANNELS);
      f.convolve(sum, f.parameters.decoder().weight1(), expected, CHANNELS);
      assertThat(f.values(decoding.convolved())).containsExactly(f.values(expected));
      f.requireStatistics(decoding.ofConvolved(), 16, 0, twin.device().downloadDouble(expected));
    }
  }

  /** What the decoder's block reads, in the order in which the kernel adds. */
  private static float[] sum(Fixture f, Buffer x, Buffer features, Encoded encoded) {
    int in = f.c.imageChannels;
    float[] image = f.values(x);
    float[] coarse = f.values(features);
    float[] convolved = f.values(encoded.convolved());
    float[] own = f.values(encoded.ofConvolved().coefficients());
    float[] ofImage = f.values(encoded.ofImage().coefficients());
    float[] shortcut = f.values(Objects.requireNonNull(f.parameters.encoder().shortcut()));
    float[] up = f.values(f.parameters.upsampling().weight());
    Extents grid = f.grid().extents();
    Extents stride = f.c.stride();
    int places = Math.toIntExact(stride.voxels());
    float[] sum = new float[convolved.length];
    for (int i = 0; i < sum.length; i++) {
      int channel = i % CHANNELS;
      int voxel = i / CHANNELS;
      int w = voxel % grid.width();
      int h = voxel / grid.width() % grid.height();
      int d = voxel / grid.width() / grid.height() % grid.depth();
      int item = voxel / grid.width() / grid.height() / grid.depth();
      int at = (item * CHANNELS + channel) * 2;
      int ofShortcut = ((item * 2 + 1) * CHANNELS + channel) * 2;
      float residual = 0;
      for (int k = 0; k < in; k++) {
        residual += image[voxel * in + k] * rounded(shortcut[channel * in + k]);
      }
      float value =
          (convolved[i] - own[at]) * own[at + 1]
              + (residual - ofImage[ofShortcut]) * ofImage[ofShortcut + 1];
      value = value > 0 ? value : SLOPE * value;
      int place = ((d % stride.depth()) * 4 + h % 4) * 4 + w % 4;
      int from =
          ((item * f.c.coarse.depth() + d / stride.depth()) * f.c.coarse.height() + h / 4)
                  * f.c.coarse.width()
              + w / 4;
      float upsampled = 0;
      for (int k = 0; k < FEATURES; k++) {
        upsampled +=
            coarse[from * FEATURES + k] * rounded(up[(k * CHANNELS + channel) * places + place]);
      }
      sum[i] = rounded(value + upsampled);
    }
    return sum;
  }

  static Stream<Arguments> heads() {
    return cases().flatMap(c -> Stream.of(1, 4, 14, 16).map(classes -> Arguments.of(c, classes)));
  }

  @ParameterizedTest(name = "{0}, {1} classes")
  @MethodSource("heads")
  void headGivesTheBytesOfItsParts(Case c, int classes) {
    try (Twin twin = new Twin(DType.BFLOAT16, c.backwards)) {
      Fixture f = Fixture.of(twin, c);
      HeadParameters p =
          new HeadParameters(
              "out1",
              CHANNELS,
              classes,
              Fixture.parameters(twin, classes * CHANNELS, 0.5),
              Fixture.parameters(twin, classes, 1));
      Buffer convolved = f.activations(CHANNELS);
      Buffer sum = f.activations(CHANNELS);
      Buffer coefficients = f.exactStatistics(CHANNELS).coefficients();
      Buffer decoded = f.room(CHANNELS);
      twin.device()
          .groupNorm()
          .apply(convolved, coefficients, null, sum, null, SLOPE, decoded, f.grid(), CHANNELS);
      FullResolutionKernels kernels = f.kernels();
      for (DType type : List.of(DType.BFLOAT16, DType.FLOAT32)) {
        for (HeadOutput output : HeadOutput.values()) {
          Buffer expected = twin.room(type, f.grid().rows() * classes).device();
          twin.device().head().forward(decoded, p, output, expected, f.grid());
          Buffer y = twin.room(type, expected.elements()).device();
          kernels.head(convolved, coefficients, sum, p, output, y, f.grid());
          assertThat(f.values(y)).containsExactly(f.values(expected));
        }
      }
      int tokens = Math.toIntExact(f.grid().rows());
      Buffer labels = twin.room(DType.BFLOAT16, tokens).device(); // two bytes for each voxel
      twin.device().head().labels(decoded, p, labels.address(), f.grid());
      kernels.labels(convolved, coefficients, sum, p, labels.address() + tokens, f.grid());
      byte[] both = bytes(f, labels);
      assertThat(Arrays.copyOfRange(both, tokens, both.length))
          .containsExactly(Arrays.copyOf(both, tokens));
    }
  }

  /** As many windows as items, or one of mirrored items; one of all windows is not in the step. */
  @ParameterizedTest(name = "{0}, mirrored {1}")
  @MethodSource("casesOfWindows")
  void windowsAreAddedAsTheirProbabilitiesWouldBe(Case c, List<Integer> mirrorings) {
    try (Twin twin = new Twin(DType.BFLOAT16, c.backwards)) {
      Fixture f = Fixture.of(twin, c);
      HeadParameters p = f.parameters.head();
      Buffer convolved = f.activations(CHANNELS);
      Buffer sum = f.activations(CHANNELS);
      Buffer coefficients = f.exactStatistics(CHANNELS).coefficients();
      FullResolutionKernels kernels = f.kernels();
      Grid grid = f.grid();
      Buffer y = twin.room(DType.FLOAT32, grid.rows() * p.classes()).device();
      kernels.head(convolved, coefficients, sum, p, HeadOutput.PROBABILITIES, y, grid);

      Extents window = grid.extents();
      Extents volume = new Extents(window.depth() + 3, window.height(), window.width() + 5);
      int slices = window.depth() + 1; // fewer than the volume has
      List<Extents> origins = List.of(new Extents(2, -1, 6)); // beyond two sides
      Buffer importance = twin.positive(window.voxels()).device();
      long values = WindowKernels.Ring.values(p.classes() + 1, volume, slices);
      float[] before = twin.values(values, 0, 1);
      CudaContext context = twin.device().context();
      WindowKernels windows = new WindowKernels(context);
      List<float[]> sums = new ArrayList<>();
      try (WindowStep step = new WindowStep(context, twin.device().allocator())) {
        int count = grid.batch() / mirrorings.size();
        for (boolean fused : new boolean[] {false, true}) {
          Buffer of = twin.pair(DType.FLOAT32, before).device();
          WindowKernels.Ring ring = new WindowKernels.Ring(of, p.classes() + 1, volume, slices);
          step.queue(
              ring,
              ring,
              importance,
              mirrorings,
              origins,
              () -> {
                for (int number = 0; number < count; number++) {
                  if (fused) {
                    kernels.window(convolved, coefficients, sum, p, step.address(), number, grid);
                  } else {
                    windows.accumulate(step.address(), y, p.classes(), number, window);
                  }
                }
              });
          sums.add(f.values(of));
        }
      }
      assertThat(sums.get(0)).isNotEqualTo(before);
      assertThat(sums.get(1)).containsExactly(sums.get(0));
    }
  }

  static Stream<Arguments> casesOfWindows() {
    return cases()
        .flatMap(c ->
            c.batch == 1
                ? Stream.of(arguments(c, List.of(5)))
                : Stream.of(arguments(c, List.of(5)), arguments(c, List.of(0, 6))));
  }

  private static byte[] bytes(Fixture f, Buffer buffer) {
    CudaContext context = f.twin.device().context();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(buffer.bytes());
      context.driver().copyToHost(buffer.address(), host, context.stream());
      f.twin.device().synchronize();
      return host.toArray(ValueLayout.JAVA_BYTE);
    }
  }
}
