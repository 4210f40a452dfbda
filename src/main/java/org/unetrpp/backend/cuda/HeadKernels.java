package org.unetrpp.backend.cuda;

import org.unetrpp.backend.Grid;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.HeadParameters;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/**
 * Launches {@code kernels/head.cu}: a 1x1x1 convolution to classes, whose results and their
 * gradients are classes first, (B, K, D, H, W). These are of the type of the features, or float32.
 */
final class HeadKernels {
  private static final String FILE = "head";
  private static final int VOXELS = 128;
  private static final int GROUP = 16;
  private static final int WEIGHTS_THREADS = 256;
  private static final int MOST_LABELS = 256;

  /** Workspace for the gradients of the parameters, 16 MB. */
  private static final long MOST_PARTIALS = (16L << 20) / Float.BYTES;

  /** Blocks for each multiprocessor that splitting aims at. */
  private static final int WEIGHTS_BLOCKS = 4;

  private final CudaContext context;
  private final PartialSums sums;

  HeadKernels(CudaContext context) {
    this.context = context;
    sums = new PartialSums(context);
  }

  /** As {@link org.unetrpp.backend.Boxes#head}. */
  void forward(Buffer x, HeadParameters parameters, HeadOutput output, Buffer y, Grid grid) {
    String entry =
        switch (output) {
          case LOGITS -> "head_logits";
          case PROBABILITIES -> "head_probabilities";
        };
    context.launch(
        FILE,
        CudaContext.entry(entry, x, y),
        voxelEach(grid),
        context
            .arguments(x, parameters.weight(), parameters.bias(), y)
            .ints(grid.tokens(), parameters.inChannels(), parameters.classes()));
  }

  /**
   * The class with the largest logit, the first of equals, for each voxel.
   *
   * @param labels device address of (B, D, H, W) bytes
   */
  void labels(Buffer x, HeadParameters parameters, long labels, Grid grid) {
    if (parameters.classes() > MOST_LABELS) {
      throw new IllegalArgumentException(
          "%s has %d classes, expected at most %d for labels of a byte"
              .formatted(parameters.name(), parameters.classes(), MOST_LABELS));
    }
    context.launch(
        FILE,
        CudaContext.entry("head_labels", x),
        voxelEach(grid),
        context
            .arguments(x, parameters.weight(), parameters.bias())
            .longs(labels)
            .ints(grid.tokens(), parameters.inChannels(), parameters.classes()));
  }

  /**
   * Gradient of the features.
   *
   * @param dy of the logits, (B, K, D, H, W)
   * @param dx (B, D, H, W, Cin)
   */
  void backwardData(Buffer dy, HeadParameters parameters, Buffer dx, Grid grid) {
    context.launch(
        FILE,
        CudaContext.entry("head_backward_data", dx, dy),
        voxelEach(grid),
        context
            .arguments(dy, parameters.weight(), dx)
            .ints(grid.tokens(), parameters.inChannels(), parameters.classes()));
  }

  /**
   * Adds the gradients of weight and bias.
   *
   * @param x (B, D, H, W, Cin)
   * @param dy of the logits, (B, K, D, H, W)
   * @param gradients what they are added to
   */
  void backwardWeights(Buffer x, Buffer dy, HeadParameters gradients, Grid grid) {
    int channels = gradients.inChannels();
    int classes = gradients.classes();
    int classGroups = Math.ceilDiv(classes, GROUP);
    int channelGroups = Math.ceilDiv(channels, GROUP);
    long weights = (long) classes * channels;
    long stride = weights + classes;
    Splits splits =
        Splits.of(
            (long) classGroups * channelGroups,
            (long) grid.batch() * Math.ceilDiv(grid.tokens(), VOXELS),
            (long) WEIGHTS_BLOCKS * context.driver().device().multiprocessors(),
            MOST_PARTIALS / stride);
    try (var _ = context.scopes().open()) {
      Buffer partials = context.floats(splits.count() * stride);
      context.launch(
          FILE,
          CudaContext.entry("head_backward_weights", x, dy),
          LaunchGeometry.blocks(1, WEIGHTS_THREADS)
              .grid(splits.count(), classGroups, channelGroups),
          context
              .arguments(x, dy, partials)
              .longs(stride)
              .ints(grid.batch(), grid.tokens(), channels, classes, splits.steps()));
      sums.add(partials, gradients.weight(), stride, splits.count());
      Buffer bias = partials.slice(weights, partials.elements() - weights);
      sums.add(bias, gradients.bias(), stride, splits.count());
    }
  }

  private static LaunchGeometry voxelEach(Grid grid) {
    int tiles = Math.max(1, Math.ceilDiv(grid.tokens(), VOXELS));
    return LaunchGeometry.blocks(tiles, VOXELS).grid(tiles, grid.batch(), 1);
  }
}
