package org.unetrpp.backend.cpu;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cpu.Primitives.BatchedProduct;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * A transposed convolution whose kernel is its stride, as products of matrices: for one plane and
 * row of the kernel, the voxels of an input row, (W, Cin), times the weights, (Cin, kW Cout), are
 * the bytes of an output row.
 */
final class TransposedConvolution {
  private final CpuContext context;

  TransposedConvolution(CpuContext context) {
    this.context = context;
  }

  /**
   * Writes the result, plus {@code skip} where it is given.
   *
   * @param x (B, D, H, W, Cin)
   * @param weight (Cin, Cout, kD, kH, kW)
   * @param skip (B, D kD, H kH, W kW, Cout), or none
   * @param y (B, D kD, H kH, W kW, Cout)
   * @param grid of {@code x}
   */
  void run(Buffer x, Buffer weight, @Nullable Buffer skip, Buffer y, Grid grid, Convolution shape) {
    Extents in = grid.extents();
    Extents kernel = shape.kernel();
    int columns = kernel.width() * shape.outChannels();
    long outputRow = (long) in.width() * columns;
    Primitive product =
        context
            .primitives()
            .product(
                new BatchedProduct(
                    in.height(),
                    in.width(),
                    shape.inChannels(),
                    columns,
                    (long) in.width() * shape.inChannels(),
                    kernel.height() * outputRow,
                    skip != null));
    long weights = pack(weight, shape);
    long inputPlane = (long) in.height() * in.width() * shape.inChannels() * Float.BYTES;
    long outputRowBytes = outputRow * Float.BYTES;
    long outputPlane = outputRowBytes * in.height() * kernel.height();
    long weightsRow = (long) shape.inChannels() * columns * Float.BYTES;
    context
        .pool()
        .run(
            grid.batch() * in.depth() * kernel.depth(),
            (task, worker) -> {
              long from = x.address() + task / kernel.depth() * inputPlane;
              for (int row = 0; row < kernel.height(); row++) {
                long to = task * outputPlane + row * outputRowBytes;
                long of =
                    weights + ((long) task % kernel.depth() * kernel.height() + row) * weightsRow;
                if (skip == null) {
                  product.run(worker, from, of, y.address() + to);
                } else {
                  product.run(worker, from, of, y.address() + to, skip.address() + to);
                }
              }
            });
  }

  private long pack(Buffer weight, Convolution shape) {
    return context
        .packs()
        .get(
            "rows of a transposed convolution",
            List.of(weight),
            weight.bytes(),
            to ->
                Values.at(to, weight.elements())
                    .write(
                        0,
                        byKernelRow(Values.of(weight).toArray(), shape),
                        Math.toIntExact(weight.elements())));
  }

  /** (Cin, Cout, kD kH, kW) to (kD kH, Cin, kW, Cout). */
  private static float[] byKernelRow(float[] weights, Convolution shape) {
    int rows = shape.kernel().depth() * shape.kernel().height();
    int width = shape.kernel().width();
    int out = shape.outChannels();
    int in = shape.inChannels();
    float[] packed = new float[weights.length];
    int from = 0;
    for (int input = 0; input < in; input++) {
      for (int output = 0; output < out; output++) {
        for (int row = 0; row < rows; row++) {
          for (int column = 0; column < width; column++) {
            packed[((row * in + input) * width + column) * out + output] = weights[from++];
          }
        }
      }
    }
    return packed;
  }
}
