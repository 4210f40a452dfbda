package org.unetrpp.backend.cuda;

import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/moments.cu}. */
final class MomentKernels {
  private static final String FILE = "moments";

  private final CudaContext context;

  MomentKernels(CudaContext context) {
    this.context = context;
  }

  /** Mean and squared deviations of each channel in each chunk, in the innermost scope. */
  Buffer partials(Buffer x, RowChunks chunks) {
    Buffer partials = context.floats(2L * chunks.items() * chunks.count() * chunks.columns());
    context.launch(
        FILE,
        CudaContext.entry("moments", x),
        chunks.geometry(),
        context
            .arguments(x, partials)
            .longs(chunks.rows())
            .ints(chunks.size(), chunks.columns(), chunks.packs()));
    return partials;
  }
}
