package org.unetrpp.backend.cuda;

import org.unetrpp.backend.Dropout;
import org.unetrpp.backend.DropoutMask;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.KernelArguments;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/dropout.cu}. */
final class DropoutKernels {
  private static final String FILE = "dropout";
  private static final int THREADS = 256;

  private final CudaContext context;

  DropoutKernels(CudaContext context) {
    this.context = context;
  }

  void dropout(Buffer x, Buffer y, Dropout dropout, long first) {
    long blocks = Math.ceilDiv(first % DropoutMask.BLOCK + x.elements(), DropoutMask.BLOCK);
    context.launch(
        FILE,
        CudaContext.entry("dropout", x),
        LaunchGeometry.threadEach(blocks, THREADS),
        withMask(context.arguments(x, y), dropout).longs(first, x.elements()));
  }

  void channelDropout(Buffer x, Buffer y, Dropout dropout, Grid grid, int channels) {
    boolean packed = RowChunks.arePacked(channels, x, y);
    RowChunks chunks = RowChunks.of(context, grid.batch(), grid.tokens(), channels, packed);
    context.launch(
        FILE,
        CudaContext.entry("channel_dropout", x),
        chunks.geometry(),
        withMask(context.arguments(x, y), dropout)
            .longs(chunks.rows())
            .ints(chunks.size(), channels, chunks.packs()));
  }

  /** The arguments that say which values are left out, as {@code kernels/philox.cuh} takes them. */
  static KernelArguments withMask(KernelArguments arguments, Dropout dropout) {
    DropoutMask mask = new DropoutMask(dropout);
    return arguments
        .longs(dropout.seed(), dropout.step())
        .ints(dropout.layer(), mask.threshold())
        .floats(mask.scale());
  }
}
