package org.unetrpp.backend.cuda;

import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/softmax.cu}. */
final class SoftmaxKernels {
  private static final String FILE = "softmax";
  private static final int THREADS = 256;

  private final CudaContext context;

  SoftmaxKernels(CudaContext context) {
    this.context = context;
  }

  void forward(Buffer x, Buffer y, int columns) {
    boolean packed = RowChunks.arePacked(columns, x, y);
    int lanes = RowChunks.lanes(packed ? columns / RowChunks.PACK : columns);
    long rows = x.elements() / columns;
    context.launch(
        FILE,
        CudaContext.entry("softmax_forward", x),
        LaunchGeometry.threadEach(rows * lanes, THREADS),
        context.arguments(x, y).longs(rows).ints(columns, lanes, packed ? 1 : 0));
  }

  void backward(Buffer dy, Buffer y, Buffer dx, int columns) {
    boolean packed = RowChunks.arePacked(columns, dy, y, dx);
    int lanes = RowChunks.lanes(packed ? columns / RowChunks.PACK : columns);
    long rows = y.elements() / columns;
    context.launch(
        FILE,
        CudaContext.entry("softmax_backward", y),
        LaunchGeometry.threadEach(rows * lanes, THREADS),
        context.arguments(dy, y, dx).longs(rows).ints(columns, lanes, packed ? 1 : 0));
  }
}
