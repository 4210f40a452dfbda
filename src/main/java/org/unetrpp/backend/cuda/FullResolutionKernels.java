package org.unetrpp.backend.cuda;

import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.unetrpp.backend.ChannelNorm;
import org.unetrpp.backend.FullResolution;
import org.unetrpp.backend.FullResolutionParameters;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.ResidualBlockParameters;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.backend.cuda.ColumnWalk.Part;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.ScopeStack;

/**
 * Launches {@code kernels/full_resolution.cu}: the path at full resolution of the published widths
 * in bfloat16, in five kernels.
 */
final class FullResolutionKernels {
  private static final String FILE = "full_resolution";
  private static final int CHANNELS = 16;
  private static final int FEATURES = 32;
  private static final int MOST_CLASSES = 16;
  private static final int PATCH = 4; // height and width
  private static final int TAPS_OF_PLANE = 9;
  private static final int PACK_THREADS = 256;
  private static final int HEAD_THREADS = 256;
  private static final int MEASURING_BLOCKS = 2; // of a multiprocessor at once

  private static final long ALIGNMENT = 16;

  private static final int PLANE_BYTES = 17_920;
  private static final int MOMENT_BYTES = 8192; // of a block's threads
  private static final int IMAGE_BYTES = 1152; // of a plane, for each channel
  private static final int FEATURE_BYTES = 3200; // of a plane
  private static final float SLOPE = (float) ResidualBlockParameters.SLOPE;

  private final CudaContext context;
  private final NarrowConvolutions convolutions;
  private final TensorWeights weights;
  private final boolean isAllowed;

  FullResolutionKernels(CudaContext context) {
    this.context = context;
    isAllowed = TensorCores.mayCompute(context.driver());
    convolutions = new NarrowConvolutions(context);
    weights = new TensorWeights(context);
  }

  /** Whether the kernels may compute this path, on this device. */
  boolean take(Buffer x, FullResolutionParameters p, DType computeType) {
    return isAllowed
        && computeType == DType.BFLOAT16
        && x.dtype() == DType.BFLOAT16
        && takeEncoder(p.encoder())
        && takeDecoder(p.decoder())
        && takeUpsampling(p.upsampling())
        && p.head().inChannels() == CHANNELS
        && p.head().classes() <= MOST_CLASSES;
  }

  private static boolean takeEncoder(ResidualBlockParameters p) {
    return (p.inChannels() == 1 || p.inChannels() == 4)
        && p.outChannels() == CHANNELS
        && p.shortcut() != null
        && isInstanceNormalized(p);
  }

  private static boolean takeDecoder(ResidualBlockParameters p) {
    return p.inChannels() == CHANNELS
        && p.outChannels() == CHANNELS
        && p.shortcut() == null
        && isInstanceNormalized(p);
  }

  private static boolean isInstanceNormalized(ResidualBlockParameters p) {
    return p.norm1() instanceof ChannelNorm.Instance
        && p.norm2() instanceof ChannelNorm.Instance
        && p.tail() == null;
  }

  private static boolean takeUpsampling(UpsampleParameters p) {
    return p.inChannels() == FEATURES
        && p.outChannels() == CHANNELS
        && p.stride().height() == PATCH
        && p.stride().width() == PATCH;
  }

  /**
   * What the encoder's block leaves.
   *
   * @param ofImage statistics of its first convolution, then of its shortcut
   * @param convolved its second convolution, (B, D, H, W, 16)
   * @param ofConvolved statistics of that
   */
  record Encoded(GroupStatistics ofImage, Buffer convolved, GroupStatistics ofConvolved) {}

  /**
   * What the decoder's block begins with.
   *
   * @param sum of the encoder's block and the upsampled features, (B, D, H, W, 16)
   * @param convolved the first convolution of that, (B, D, H, W, 16)
   * @param ofConvolved statistics of that
   */
  record Decoding(Buffer sum, Buffer convolved, GroupStatistics ofConvolved) {}

  /** As {@link org.unetrpp.backend.Boxes#fullResolution}, of what is taken. */
  FullResolution begin(Buffer x, FullResolutionParameters p, Grid grid) {
    Encoded encoded =
        new Encoded(statistics(grid, 2 * CHANNELS), activations(grid), statistics(grid, CHANNELS));
    Buffer moments = context.floats(momentsOfEncoder(grid)); // lives as long as the branch
    Buffer image = aligned(x);
    Branch branch = context.branch(() -> encode(image, p.encoder(), encoded, moments, grid));
    return (features, output) -> {
      branch.join();
      context.scopes().release(moments);
      return finish(image, p, encoded, aligned(features), output, grid);
    };
  }

  /** Buffers of the innermost scope, each released when nobody needs it any more. */
  private Buffer finish(
      Buffer x,
      FullResolutionParameters p,
      Encoded encoded,
      Buffer features,
      HeadOutput output,
      Grid grid) {
    ScopeStack scopes = context.scopes();
    Decoding decoding =
        new Decoding(activations(grid), activations(grid), statistics(grid, CHANNELS));
    decode(x, p, encoded, features, decoding, grid);
    scopes.release(encoded.ofImage().coefficients());
    scopes.release(encoded.convolved());
    scopes.release(encoded.ofConvolved().coefficients());

    Buffer convolved = activations(grid);
    GroupStatistics statistics = statistics(grid, CHANNELS);
    convolutions.measured(
        decoding.convolved(),
        new Prologue(decoding.ofConvolved().coefficients(), SLOPE),
        p.decoder().weight2(),
        statistics,
        convolved,
        new NarrowConvolutions.Shape(grid, CHANNELS, CHANNELS, false));
    scopes.release(decoding.convolved());
    scopes.release(decoding.ofConvolved().coefficients());

    Buffer y = scopes.allocate(DType.BFLOAT16, grid.rows() * p.head().classes());
    WindowSink sink = output == HeadOutput.PROBABILITIES ? context.sink() : null;
    if (sink == null) {
      head(convolved, statistics.coefficients(), decoding.sum(), p.head(), output, y, grid);
    } else {
      sink.take();
      for (int number = 0; number < sink.windows(); number++) {
        window(
            convolved,
            statistics.coefficients(),
            decoding.sum(),
            p.head(),
            sink.step(),
            number,
            grid);
      }
    }
    scopes.release(convolved);
    scopes.release(statistics.coefficients());
    scopes.release(decoding.sum());
    return y;
  }

  private GroupStatistics statistics(Grid grid, int channels) {
    Buffer coefficients = context.floats(2L * grid.batch() * channels);
    return new GroupStatistics(coefficients, null, channels, ChannelNorm.EPSILON);
  }

  private Buffer activations(Grid grid) {
    return context.scopes().allocate(DType.BFLOAT16, grid.rows() * CHANNELS);
  }

  /** A kernel whose blocks walk along the depth, and its ways to do so. */
  private record Walking(String kernel, ColumnWalk walk, List<Part> candidates) {}

  private Walking measuring(Grid grid) {
    ColumnWalk walk = new ColumnWalk(grid, 1);
    return new Walking("measure", walk, walk.candidates(MEASURING_BLOCKS * multiprocessors()));
  }

  private Walking convolving(String kernel, Grid grid) {
    ColumnWalk walk = new ColumnWalk(grid, 1);
    return new Walking(kernel, walk, walk.candidates(multiprocessors()));
  }

  private long multiprocessors() {
    return context.driver().device().multiprocessors();
  }

  /** Floats of workspace of {@link #encode}. */
  long momentsOfEncoder(Grid grid) {
    Walking measuring = measuring(grid);
    Walking convolving = convolving("encode", grid);
    return Math.max(
        measuring.walk().moments(measuring.candidates(), 2 * CHANNELS),
        convolving.walk().moments(convolving.candidates(), CHANNELS));
  }

  /**
   * The encoder's block but for its last normalization, residual and activation.
   *
   * @param x aligned to 16 bytes
   * @param moments workspace
   */
  void encode(Buffer x, ResidualBlockParameters p, Encoded encoded, Buffer moments, Grid grid) {
    int channels = p.inChannels();
    long ofImage = packedOfImage(p);
    long packed = packed(p.weight2());
    launch(
        measuring(grid),
        channels,
        grid,
        0,
        encoded.ofImage(),
        moments,
        () -> context.arguments(x).longs(ofImage));
    launch(
        convolving("encode", grid),
        channels,
        grid,
        2 * PLANE_BYTES + MOMENT_BYTES + 4 * IMAGE_BYTES * channels,
        encoded.ofConvolved(),
        moments,
        () ->
            context
                .arguments(x)
                .longs(ofImage)
                .buffers(encoded.ofImage().coefficients())
                .floats(SLOPE)
                .longs(packed)
                .buffers(encoded.convolved()));
  }

  /**
   * The sum that the decoder's block reads, and its first convolution.
   *
   * @param x aligned to 16 bytes
   * @param features aligned to 16 bytes
   */
  void decode(
      Buffer x,
      FullResolutionParameters p,
      Encoded encoded,
      Buffer features,
      Decoding decoding,
      Grid grid) {
    int channels = p.encoder().inChannels();
    long ofUpsampling = packedOfUpsampling(p.upsampling());
    long packed = packed(p.decoder().weight1());
    Buffer shortcut = Objects.requireNonNull(p.encoder().shortcut());
    Walking walking = convolving("decode", grid);
    try (var _ = context.scopes().open()) {
      Buffer moments = context.floats(walking.walk().moments(walking.candidates(), CHANNELS));
      launch(
          walking,
          channels,
          grid,
          MOMENT_BYTES + 3 * (PLANE_BYTES + IMAGE_BYTES * channels + FEATURE_BYTES),
          decoding.ofConvolved(),
          moments,
          () ->
              context
                  .arguments(encoded.convolved(), encoded.ofConvolved().coefficients(), x)
                  .buffers(encoded.ofImage().coefficients(), shortcut, features)
                  .longs(ofUpsampling)
                  .floats(SLOPE)
                  .ints(p.upsampling().stride().depth())
                  .longs(packed)
                  .buffers(decoding.sum(), decoding.convolved()));
    }
  }

  /** With the arguments before those of the statistics. */
  private void launch(
      Walking walking,
      int channels,
      Grid grid,
      int sharedBytes,
      GroupStatistics statistics,
      Buffer moments,
      Supplier<KernelArguments> arguments) {
    String kernel = "full_resolution_" + walking.kernel();
    Consumer<Part> launch =
        part -> {
          StatisticsTiles tiles = walking.walk().statistics(part, statistics.groups());
          long tickets = context.tickets(tiles.tickets());
          context.launch(
              FILE,
              "%s_%d_bf16".formatted(kernel, channels),
              walking.walk().geometry(part).shared(sharedBytes),
              tiles
                  .add(arguments.get(), statistics, moments, tickets)
                  .ints(grid.extents().toArray())
                  .ints(part.planes()));
        };
    Shape shape = new Shape(grid, channels);
    launch.accept(context.tuner().choose(FILE, kernel, shape, walking.candidates(), launch));
  }

  /** What a choice depends on. */
  private record Shape(Grid grid, int imageChannels) {}

  /**
   * Classes of each voxel: of {@code leakyRelu((g - mean) factor + sum)}.
   *
   * @param g (B, D, H, W, 16)
   * @param coefficients mean and factor of each channel of {@code g}
   * @param sum as {@code g}
   * @param y (B, K, D, H, W), in bfloat16 or float32
   */
  void head(
      Buffer g,
      Buffer coefficients,
      Buffer sum,
      HeadParameters p,
      HeadOutput output,
      Buffer y,
      Grid grid) {
    String entry =
        switch (output) {
          case LOGITS -> "full_resolution_logits";
          case PROBABILITIES -> "full_resolution_probabilities";
        };
    context.launch(
        FILE,
        CudaContext.entry(entry, g, y),
        voxelEach(grid),
        headArguments(g, coefficients, sum, p, grid).buffers(y));
  }

  /**
   * The class with the largest logit, the first of equals, for each voxel.
   *
   * @param labels device address of (B, D, H, W) bytes
   */
  void labels(Buffer g, Buffer coefficients, Buffer sum, HeadParameters p, long labels, Grid grid) {
    context.launch(
        FILE,
        CudaContext.entry("full_resolution_labels", g),
        voxelEach(grid),
        headArguments(g, coefficients, sum, p, grid).longs(labels));
  }

  /**
   * Adds the probabilities of one of the windows of a step to the sums of its classes, as {@link
   * WindowKernels#accumulate}.
   *
   * @param step address of a {@link WindowStep}
   * @param number which window of the step; nothing is done if the step has fewer
   * @param grid of the items of all windows
   */
  void window(
      Buffer g,
      Buffer coefficients,
      Buffer sum,
      HeadParameters p,
      long step,
      int number,
      Grid grid) {
    context.launch(
        FILE,
        CudaContext.entry("full_resolution_window", g),
        LaunchGeometry.threadEach(grid.tokens(), HEAD_THREADS),
        headArguments(g, coefficients, sum, p, grid)
            .longs(step)
            .ints(number)
            .ints(grid.extents().toArray()));
  }

  private KernelArguments headArguments(
      Buffer g, Buffer coefficients, Buffer sum, HeadParameters p, Grid grid) {
    return context
        .arguments(g, coefficients)
        .floats(SLOPE)
        .buffers(sum, p.weight(), p.bias())
        .ints(grid.tokens(), p.classes());
  }

  private static LaunchGeometry voxelEach(Grid grid) {
    int tiles = Math.max(1, Math.ceilDiv(grid.tokens(), HEAD_THREADS));
    return LaunchGeometry.blocks(tiles, HEAD_THREADS).grid(tiles, grid.batch(), 1);
  }

  /** A buffer, or a copy of it in the innermost scope that is aligned as the kernels need it. */
  private Buffer aligned(Buffer buffer) {
    if (buffer.address() % ALIGNMENT == 0) {
      return buffer;
    }
    Buffer copy = context.scopes().allocate(buffer.dtype(), buffer.elements());
    context.driver().copy(buffer.address(), copy.address(), buffer.bytes(), context.stream());
    return copy;
  }

  private long packed(Buffer weight) {
    return weights.packed(weight, new TensorWeights.Order(CHANNELS, CHANNELS, 1, false));
  }

  /** The order of the weights that read the image. */
  private record ImageOrder(int channels) {}

  /** The order of the weights that read the features. */
  private record UpsamplingOrder(Extents stride) {}

  private long packedOfImage(ResidualBlockParameters p) {
    Buffer shortcut = Objects.requireNonNull(p.shortcut());
    int channels = p.inChannels();
    int steps = 3 * Math.ceilDiv(TAPS_OF_PLANE * channels, CHANNELS) + 1;
    int values = steps * CHANNELS * CHANNELS;
    return context
        .packs()
        .get(
            new ImageOrder(channels),
            List.of(p.weight1(), shortcut),
            (long) values * DType.BFLOAT16.bytes(),
            address ->
                context.launch(
                    FILE,
                    "full_resolution_pack_image",
                    LaunchGeometry.threadEach(values, PACK_THREADS),
                    context
                        .arguments(p.weight1(), shortcut)
                        .longs(address)
                        .ints(values, channels)));
  }

  private long packedOfUpsampling(UpsampleParameters p) {
    int places = Math.toIntExact(p.stride().voxels());
    long values = (long) FEATURES * CHANNELS * places;
    return context
        .packs()
        .get(
            new UpsamplingOrder(p.stride()),
            List.of(p.weight()),
            values * DType.BFLOAT16.bytes(),
            address ->
                context.launch(
                    FILE,
                    "full_resolution_pack_upsampling",
                    LaunchGeometry.threadEach(values, PACK_THREADS),
                    context.arguments(p.weight()).longs(address, values).ints(FEATURES, places)));
  }
}
