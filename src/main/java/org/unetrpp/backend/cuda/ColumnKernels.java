package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.MatrixView;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** Launches {@code kernels/columns.cu}: sums and norms of columns. */
final class ColumnKernels {
  static final String FILE = "columns";
  private static final int COLUMNS_PER_BLOCK = 8;

  private final CudaContext context;

  ColumnKernels(CudaContext context) {
    this.context = context;
  }

  void addBias(MatrixView x, Buffer bias) {
    RowChunks chunks = RowChunks.of(context, x, RowChunks.arePacked(x));
    context.launch(
        FILE,
        CudaContext.entry("columns_add_bias", x.buffer()),
        chunks.geometry(),
        context
            .arguments(RowChunks.start(x), bias)
            .longs(x.rowStride(), chunks.rows())
            .ints(chunks.size(), x.columns(), chunks.packs()));
  }

  void addColumnSums(MatrixView dy, Buffer dbias) {
    RowChunks chunks = RowChunks.of(context, dy, RowChunks.arePacked(dy));
    try (var _ = context.scopes().open()) {
      boolean atOnce = chunks.count() == 1;
      Buffer partials = atOnce ? null : context.floats((long) chunks.count() * dy.columns());
      context.launch(
          FILE,
          CudaContext.entry("columns_sum", dy.buffer()),
          chunks.geometry(),
          context
              .arguments(RowChunks.start(dy), partials, dbias)
              .longs(dy.rowStride(), chunks.rows())
              .ints(chunks.size(), dy.columns(), chunks.packs()));
      if (!atOnce) {
        context.launch(
            FILE,
            "columns_add_partials",
            perColumn(dy),
            context.arguments(partials, dbias).ints(chunks.count(), dy.columns()));
      }
    }
  }

  void addRepeats(Buffer dy, Buffer sum) {
    addColumnSums(MatrixView.of(dy, Math.toIntExact(sum.elements())), sum);
  }

  /** Keeps what the columns were divided by in {@code norms}, where there is a buffer for it. */
  void normalize(MatrixView x, @Nullable Buffer norms) {
    RowChunks chunks = RowChunks.of(context, x, RowChunks.arePacked(x));
    try (var _ = context.scopes().open()) {
      Buffer partials = products(x, x, chunks);
      Buffer factors = context.floats(x.columns());
      context.launch(
          FILE,
          "columns_norms_" + (norms == null ? DType.FLOAT32 : norms.dtype()).suffix(),
          perColumn(x),
          context.arguments(partials, norms, factors).ints(chunks.count(), x.columns()));
      context.launch(
          FILE,
          CudaContext.entry("columns_scale", x.buffer()),
          chunks.geometry(),
          context
              .arguments(RowChunks.start(x), factors)
              .longs(x.rowStride(), chunks.rows())
              .ints(chunks.size(), x.columns(), chunks.packs()));
    }
  }

  void normalizeBackward(MatrixView dy, MatrixView y, Buffer norms) {
    RowChunks chunks = RowChunks.of(context, dy, RowChunks.arePacked(dy, y));
    try (var _ = context.scopes().open()) {
      Buffer partials = products(dy, y, chunks);
      Buffer factors = context.floats(2L * dy.columns());
      context.launch(
          FILE,
          CudaContext.entry("columns_factors", norms),
          perColumn(dy),
          context.arguments(partials, norms, factors).ints(chunks.count(), dy.columns()));
      context.launch(
          FILE,
          CudaContext.entry("columns_backward", dy.buffer()),
          chunks.geometry(),
          context
              .arguments(RowChunks.start(dy), RowChunks.start(y), factors)
              .longs(dy.rowStride(), y.rowStride(), chunks.rows())
              .ints(chunks.size(), dy.columns(), chunks.packs()));
    }
  }

  /** Sums of {@code x y} over the chunks of each column, in the innermost scope. */
  private Buffer products(MatrixView x, MatrixView y, RowChunks chunks) {
    Buffer partials = context.floats((long) chunks.count() * x.columns());
    context.launch(
        FILE,
        CudaContext.entry("columns_product", x.buffer()),
        chunks.geometry(),
        context
            .arguments(RowChunks.start(x), RowChunks.start(y), partials)
            .longs(x.rowStride(), y.rowStride(), chunks.rows())
            .ints(chunks.size(), x.columns(), chunks.packs()));
    return partials;
  }

  private static LaunchGeometry perColumn(MatrixView view) {
    return LaunchGeometry.warpEach(view.columns(), COLUMNS_PER_BLOCK);
  }
}
