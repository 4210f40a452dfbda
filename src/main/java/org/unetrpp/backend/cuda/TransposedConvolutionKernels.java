package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * Launches {@code kernels/transposed_convolution.cu}; the gradients are those of the convolution
 * whose connections are transposed.
 */
final class TransposedConvolutionKernels {
  private static final String FILE = "transposed_convolution";

  /** What a block computes. */
  private enum Tile {
    LARGE("large", 64, 64, 128),
    SMALL("small", 32, 32, 64);

    private final String suffix;
    private final int rows;
    private final int columns;
    private final int threads;

    Tile(String suffix, int rows, int columns, int threads) {
      this.suffix = suffix;
      this.rows = rows;
      this.columns = columns;
      this.threads = threads;
    }

    LaunchGeometry geometry(long voxels, int width, int planes) {
      int tiles = Math.toIntExact(Math.ceilDiv(voxels, rows));
      return LaunchGeometry.blocks(tiles, threads)
          .grid(tiles, Math.ceilDiv(width, columns), planes);
    }

    long blocks(long voxels, int width, int planes) {
      return Math.ceilDiv(voxels, rows) * Math.ceilDiv(width, columns) * planes;
    }
  }

  private final CudaContext context;
  private final OwnConvolutions convolutions;
  private final PackedWeights weights;
  private final int multiprocessors;

  TransposedConvolutionKernels(CudaContext context) {
    this(context, new OwnConvolutions(context));
  }

  TransposedConvolutionKernels(CudaContext context, OwnConvolutions convolutions) {
    this.context = context;
    this.convolutions = convolutions;
    weights = new PackedWeights(context);
    multiprocessors = context.driver().device().multiprocessors();
  }

  /**
   * With {@code skip}, (B, D kD, H kH, W kW, Cout), added where there is one; {@code y} may be
   * {@code skip}.
   */
  void forward(
      Buffer x, Buffer weight, @Nullable Buffer skip, Buffer y, Grid grid, Convolution shape) {
    Extents kernel = shape.kernel();
    int in = shape.inChannels();
    int out = shape.outChannels();
    int width = Math.multiplyExact(kernel.width(), out);
    int planes = Math.multiplyExact(kernel.depth(), kernel.height());
    int padded = Math.ceilDiv(width, Tile.LARGE.columns) * Tile.LARGE.columns;
    int taps = Math.toIntExact(kernel.voxels());
    long packed =
        weights.get(
            weight, new PackedWeights.Order(in, out, taps, kernel.width(), padded, false, false));
    long voxels = grid.rows();
    Tile tile =
        Tile.LARGE.blocks(voxels, width, planes) >= multiprocessors ? Tile.LARGE : Tile.SMALL;
    context.launch(
        FILE,
        CudaContext.entry("transposed_convolution_forward_" + tile.suffix, x),
        tile.geometry(voxels, width, planes),
        context
            .arguments(x)
            .longs(packed)
            .buffers(skip, y)
            .longs(voxels)
            .ints(grid.extents().toArray())
            .ints(kernel.toArray())
            .ints(in, out, padded));
  }

  void backwardData(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    Convolution transposed = transposed(shape);
    convolutions.forward(dy, weight, Epilogue.NONE, dx, grid.times(shape.kernel()), transposed);
  }

  void backwardWeights(Buffer x, Buffer dy, Buffer dweight, Grid grid, Convolution shape) {
    Convolution transposed = transposed(shape);
    convolutions.backwardWeights(dy, x, dweight, null, grid.times(shape.kernel()), transposed);
  }

  /** The convolution that goes from y to x. */
  private static Convolution transposed(Convolution shape) {
    return Convolution.patches(shape.outChannels(), shape.inChannels(), shape.kernel());
  }
}
