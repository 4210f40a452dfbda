package org.unetrpp.backend.cuda;

import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.ColumnWalk.Part;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.memory.Buffer;

/**
 * Launches {@code kernels/narrow_convolution.cu}: convolutions by 3x3x3 of at most 16 channels in
 * bfloat16.
 */
final class NarrowConvolutions {
  private static final String FILE = "narrow_convolution";
  private static final int MOST_IN_CHANNELS = TensorWeights.CHUNK;
  private static final int MOST_OUT_CHANNELS = 32; // x is read for each 16 of them

  private static final int PLANE_BYTES = 53_760; // of three planes
  private static final int MOMENT_BYTES = 8192; // of a block's threads

  private final CudaContext context;
  private final TensorWeights weights;

  NarrowConvolutions(CudaContext context) {
    this.context = context;
    weights = new TensorWeights(context);
  }

  /**
   * What is computed, in its own words: what is read is {@code x}, what is written {@code y}.
   *
   * @param backward whether y is a gradient, and the weights are those of what was forward
   */
  record Shape(Grid grid, int inChannels, int outChannels, boolean backward) {
    private ColumnWalk walk() {
      return new ColumnWalk(grid, Math.ceilDiv(outChannels, TensorWeights.PAIR));
    }

    private TensorWeights.Order order() {
      return new TensorWeights.Order(inChannels, outChannels, 1, backward);
    }
  }

  /** Whether there are few enough channels. */
  static boolean take(int inChannels, int outChannels) {
    return inChannels <= MOST_IN_CHANNELS && outChannels <= MOST_OUT_CHANNELS;
  }

  void forward(Buffer x, Buffer weight, Epilogue epilogue, Buffer y, Shape shape) {
    ColumnWalk walk = shape.walk();
    long packed = weights.packed(weight, shape.order());
    Consumer<Part> launch =
        part ->
            context.launch(
                FILE,
                CudaContext.entry("narrow_convolution", x),
                walk.geometry(part).shared(PLANE_BYTES),
                context
                    .arguments(x)
                    .longs(packed)
                    .buffers(y, epilogue.bias(), epilogue.addend())
                    .floats((float) epilogue.slope())
                    .ints(shape.grid().extents().toArray())
                    .ints(shape.inChannels(), shape.outChannels(), part.planes()));
    List<Part> candidates = walk.candidates(multiprocessors());
    launch.accept(context.tuner().choose(FILE, "narrow_convolution", shape, candidates, launch));
  }

  /**
   * Without an epilogue, with the statistics of {@code y}.
   *
   * @param prologue what is done to {@code x} where it is read, or none
   */
  void measured(
      Buffer x,
      @Nullable Prologue prologue,
      Buffer weight,
      GroupStatistics statistics,
      Buffer y,
      Shape shape) {
    ColumnWalk walk = shape.walk();
    long packed = weights.packed(weight, shape.order());
    List<Part> candidates = walk.candidates(multiprocessors());
    try (var _ = context.scopes().open()) {
      Buffer moments = context.floats(walk.moments(candidates, shape.outChannels()));
      Consumer<Part> launch =
          part -> {
            StatisticsTiles tiles = walk.statistics(part, shape.outChannels());
            long tickets = context.tickets(tiles.tickets());
            KernelArguments arguments =
                context
                    .arguments(x, prologue == null ? null : prologue.coefficients())
                    .floats(prologue == null ? 1 : (float) prologue.slope())
                    .longs(packed)
                    .buffers(y);
            context.launch(
                FILE,
                CudaContext.entry("narrow_convolution_measured", x),
                walk.geometry(part).shared(PLANE_BYTES + MOMENT_BYTES),
                tiles
                    .add(arguments, statistics, moments, tickets)
                    .ints(shape.grid().extents().toArray())
                    .ints(shape.inChannels(), shape.outChannels(), part.planes()));
          };
      launch.accept(
          context.tuner().choose(FILE, "narrow_convolution_measured", shape, candidates, launch));
    }
  }

  private int multiprocessors() {
    return context.driver().device().multiprocessors(); // each has one block at a time
  }
}
