package org.unetrpp.backend.cuda;

import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Matrix products by {@code kernels/matrix_product.cu}. */
final class OwnMatrixProducts implements MatrixProducts {
  private static final String FILE = "matrix_product";
  private static final int THREADS = 256;
  private static final int TILE = 64;
  private static final int DEPTH = 16;

  /** Blocks that sums are cut for: the partial products take no more than 4 MB. */
  private static final int BLOCKS = 256;

  private static final int LEAST_SLICE = 128;

  private final CudaContext context;

  OwnMatrixProducts(CudaContext context) {
    this.context = context;
  }

  @Override
  public String name() {
    return "own";
  }

  @Override
  public void product(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate) {
    int inner = transposeA ? a.rows() : a.columns();
    if ((transposeA ? a.columns() : a.rows()) != c.rows()
        || (transposeB ? b.columns() : b.rows()) != inner
        || (transposeB ? b.rows() : b.columns()) != c.columns()) {
      throw new IllegalArgumentException(
          "%s%s times %s%s does not fit %s"
              .formatted(
                  a, transposeA ? " transposed" : "", b, transposeB ? " transposed" : "", c));
    }
    if (c.rows() == 0 || c.columns() == 0) {
      return;
    }
    Slices slices = Slices.of(c.rows(), c.columns(), inner);
    try (var _ = context.scopes().open()) {
      Buffer partials =
          slices.count() == 1
              ? null
              : context.floats((long) slices.count() * c.rows() * c.columns());
      context.launch(
          FILE,
          CudaContext.entry("matrix_product", a.buffer(), b.buffer(), c.buffer()),
          LaunchGeometry.blocks(slices.tiles(), THREADS).grid(slices.tiles(), slices.count(), 1),
          context
              .arguments(RowChunks.start(a), RowChunks.start(b), RowChunks.start(c), partials)
              .longs(a.rowStride(), b.rowStride(), c.rowStride(), inner, slices.size())
              .ints(c.rows(), c.columns(), flag(transposeA), flag(transposeB), flag(accumulate)));
      if (partials != null) {
        context.launch(
            FILE,
            CudaContext.entry("matrix_product_sum", c.buffer()),
            LaunchGeometry.threadEach((long) c.rows() * c.columns(), THREADS),
            context
                .arguments(partials, RowChunks.start(c))
                .longs(c.rowStride())
                .ints(c.rows(), c.columns(), slices.count(), flag(accumulate)));
      }
    }
  }

  private static int flag(boolean isSet) {
    return isSet ? 1 : 0;
  }

  /**
   * How a product is shared out to blocks: a function of the shape alone, so that every device
   * rounds alike.
   *
   * @param tiles of the result
   * @param size terms of the sums in one slice
   * @param count of slices
   */
  record Slices(int tiles, int size, int count) {
    static Slices of(int rows, int columns, int inner) {
      long tiles = (long) Math.ceilDiv(rows, TILE) * Math.ceilDiv(columns, TILE);
      int wanted = Math.clamp(BLOCKS / tiles, 1, Math.max(1, inner / LEAST_SLICE));
      int size = Math.max(1, Math.ceilDiv(Math.ceilDiv(inner, wanted), DEPTH)) * DEPTH;
      return new Slices(Math.toIntExact(tiles), size, Math.max(1, Math.ceilDiv(inner, size)));
    }
  }
}
