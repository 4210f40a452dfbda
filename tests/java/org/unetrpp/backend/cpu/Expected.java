package org.unetrpp.backend.cpu;

import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

/** What the reference backend computes, from host values to host values. */
final class Expected {
  private final ReferenceBackend backend;

  private Expected(ReferenceBackend backend) {
    this.backend = backend;
  }

  static double[] convolution(
      float[] x, float[] weight, float @Nullable [] bias, Grid grid, Convolution shape) {
    long elements = grid.batch() * shape.output(grid.extents()).voxels() * shape.outChannels();
    return run(
        elements,
        (reference, y) ->
            reference.backend.convolution(
                reference.upload(x),
                reference.upload(weight),
                bias == null ? null : reference.upload(bias),
                y,
                grid,
                shape));
  }

  static double[] transposedConvolution(float[] x, float[] weight, Grid grid, Convolution shape) {
    return run(
        grid.times(shape.kernel()).rows() * shape.outChannels(),
        (reference, y) ->
            reference.backend.transposedConvolution(
                reference.upload(x), reference.upload(weight), y, grid, shape));
  }

  static double[] layerNorm(float[] x, float[] gamma, float[] beta, int channels, double epsilon) {
    return run(
        x.length,
        (reference, y) ->
            reference.backend.layerNorm(
                reference.upload(x),
                reference.upload(gamma),
                reference.upload(beta),
                y,
                channels,
                epsilon));
  }

  static double[] groupNorm(
      float[] x,
      float @Nullable [] gamma,
      float @Nullable [] beta,
      Grid grid,
      int channels,
      int groups,
      double epsilon) {
    return run(
        x.length,
        (reference, y) ->
            reference.backend.groupNorm(
                reference.upload(x),
                gamma == null ? null : reference.upload(gamma),
                beta == null ? null : reference.upload(beta),
                y,
                grid,
                channels,
                groups,
                epsilon));
  }

  static double[] softmax(float[] x, int columns) {
    return run(
        x.length, (reference, y) -> reference.backend.softmax(reference.upload(x), y, columns));
  }

  private static double[] run(long elements, BiConsumer<Expected, Buffer> primitive) {
    try (ReferenceBackend backend = new ReferenceBackend();
        var _ = backend.scopes().open()) {
      Buffer y = backend.scopes().allocate(DType.FLOAT64, elements);
      primitive.accept(new Expected(backend), y);
      return backend.downloadDouble(y);
    }
  }

  private Buffer upload(float[] values) {
    Buffer buffer = backend.scopes().allocate(DType.FLOAT64, values.length);
    backend.upload(values, buffer);
    return buffer;
  }
}
