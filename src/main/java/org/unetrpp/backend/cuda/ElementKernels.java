package org.unetrpp.backend.cuda;

import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.cuda.driver.LaunchGeometry;
import org.unetrpp.memory.Buffer;

/** Launches {@code kernels/elements.cu}: operations on each element. */
final class ElementKernels {
  private static final String FILE = "elements";
  private static final int THREADS = 256;
  private static final int COLUMNS_PER_BLOCK = 8;
  private static final int VALUES_PER_TILE = 1024;
  private static final int WARP = 32;

  /** Of a run, but where there would be too many. */
  private static final int VALUES_PER_CHUNK = 8192;

  private static final int MOST_CHUNKS = 1024;

  private final CudaContext context;

  ElementKernels(CudaContext context) {
    this.context = context;
  }

  /** Threads for so many values, each of them for a few neighbors. */
  static LaunchGeometry packEach(long count) {
    return LaunchGeometry.threadEach(Math.ceilDiv(count, RowChunks.PACK), THREADS);
  }

  void leakyRelu(Buffer x, Buffer y, double slope) {
    context.launch(
        FILE,
        CudaContext.entry("leaky_relu_forward", x),
        packEach(x.elements()),
        context.arguments(x, y).longs(x.elements()).floats((float) slope));
  }

  void leakyReluBackward(Buffer dy, Buffer y, Buffer dx, double slope) {
    context.launch(
        FILE,
        CudaContext.entry("leaky_relu_backward", dy),
        packEach(dy.elements()),
        context.arguments(dy, y, dx).longs(dy.elements()).floats((float) slope));
  }

  /** {@code b} may be of another type than {@code a} and {@code y}. */
  void add(Buffer a, Buffer b, Buffer y) {
    context.launch(
        FILE,
        CudaContext.entry("add", a, b),
        packEach(a.elements()),
        context.arguments(a, b, y).longs(a.elements(), b.elements()));
  }

  /** What follows a convolution that left its sums in {@code y}. */
  void finish(Buffer y, Epilogue epilogue, int channels) {
    context.launch(
        FILE,
        CudaContext.entry("epilogue", y),
        packEach(y.elements()),
        context
            .arguments(epilogue.bias(), epilogue.addend(), y)
            .longs(y.elements())
            .ints(channels)
            .floats((float) epilogue.slope()));
  }

  void addScaled(Buffer a, Buffer gamma, Buffer b, Buffer y, int channels) {
    context.launch(
        FILE,
        CudaContext.entry("add_scaled_forward", a),
        packEach(a.elements()),
        context.arguments(a, gamma, b, y).longs(a.elements()).ints(channels));
  }

  void addScaledBackward(
      Buffer dy, Buffer gamma, Buffer b, Buffer db, Buffer dgamma, int channels) {
    boolean packed = RowChunks.arePacked(channels, dy, b, db);
    long rows = dy.elements() / channels;
    RowChunks chunks = RowChunks.of(context, 1, rows, channels, packed);
    try (var _ = context.scopes().open()) {
      Buffer partials = partials(chunks.count(), channels);
      context.launch(
          FILE,
          CudaContext.entry("add_scaled_backward", dy),
          chunks.geometry(),
          context
              .arguments(dy, gamma, b, db, dgamma, partials)
              .longs(rows)
              .ints(chunks.size(), channels, chunks.packs()));
      addUp(partials, dgamma, chunks.count(), channels);
    }
  }

  /** {@code scales} may be of another type than {@code x}. */
  void scaleRuns(Buffer x, Buffer scales, long run) {
    context.launch(
        FILE,
        CudaContext.entry("scale_runs_forward", x, scales),
        packEach(x.elements()),
        context.arguments(x, scales).longs(x.elements(), run));
  }

  /** {@code scales} may be of another type than {@code dy} and {@code x}. */
  void scaleRunsBackward(Buffer dy, Buffer x, Buffer scales, Buffer dscales, long run) {
    int runs = Math.toIntExact(dy.elements() / run);
    if (runs == 0) {
      return;
    }
    int chunk = chunkOf(run);
    int chunks = Math.toIntExact(Math.ceilDiv(run, chunk));
    try (var _ = context.scopes().open()) {
      Buffer partials = partials(chunks, runs);
      context.launch(
          FILE,
          CudaContext.entry("scale_runs_backward", dy, scales),
          LaunchGeometry.blocks((long) runs * chunks, THREADS),
          context.arguments(dy, x, scales, dscales, partials).longs(run).ints(runs, chunks, chunk));
      addUp(partials, dscales, chunks, runs);
    }
  }

  /** Values of a run that one block takes. */
  private static int chunkOf(long run) {
    long least = Math.ceilDiv(Math.ceilDiv(run, MOST_CHUNKS), RowChunks.PACK) * RowChunks.PACK;
    return Math.toIntExact(Math.max(VALUES_PER_CHUNK, least));
  }

  /** Room for (chunks, columns) sums; none where each sum has one part. */
  private @Nullable Buffer partials(int chunks, int columns) {
    return chunks == 1 ? null : context.floats((long) chunks * columns);
  }

  /** Adds up what {@link #partials} made room for. */
  private void addUp(@Nullable Buffer partials, Buffer sums, int chunks, int columns) {
    if (partials != null) {
      context.launch(
          ColumnKernels.FILE,
          "columns_add_partials",
          LaunchGeometry.warpEach(columns, COLUMNS_PER_BLOCK),
          context.arguments(partials, sums).ints(chunks, columns));
    }
  }

  /** Copies, converting where the types differ. */
  void copy(Buffer x, Buffer y) {
    if (x.dtype() == y.dtype()) {
      context.driver().copy(x.address(), y.address(), x.bytes(), context.stream());
      return;
    }
    context.launch(
        FILE,
        CudaContext.entry("copy", x, y),
        packEach(x.elements()),
        context.arguments(x, y).longs(x.elements()));
  }

  void channelsLast(Buffer x, Buffer y, int batch, int channels, int voxels) {
    transpose(x, y, batch, channels, voxels);
  }

  void channelsFirst(Buffer x, Buffer y, int batch, int channels, int voxels) {
    transpose(x, y, batch, voxels, channels);
  }

  /** Each of {@code items} matrices (rows, columns) to (columns, rows). */
  private void transpose(Buffer x, Buffer y, int items, int rows, int columns) {
    int shorter = Math.clamp(Math.min(rows, columns), 1, WARP);
    int longer = VALUES_PER_TILE / shorter / WARP * WARP;
    int tileRows = rows <= columns ? shorter : longer;
    int tileColumns = rows <= columns ? longer : shorter;
    long tiles = (long) Math.ceilDiv(rows, tileRows) * Math.ceilDiv(columns, tileColumns);
    context.launch(
        FILE,
        CudaContext.entry("transpose", x),
        LaunchGeometry.blocks(tiles, THREADS).grid(Math.toIntExact(tiles), items, 1),
        context.arguments(x, y).ints(rows, columns, tileRows, tileColumns));
  }
}
