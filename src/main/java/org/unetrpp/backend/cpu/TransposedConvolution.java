package org.unetrpp.backend.cpu;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.UpsampleParameters;
import org.unetrpp.backend.cpu.Primitives.BatchedProduct;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;

/**
 * A transposed convolution whose kernel is its stride, planned once, as products of matrices: for
 * one plane and row of the kernel, the voxels of an input row, (W, Cin), times the weights, (Cin,
 * kW Cout), are the bytes of an output row.
 */
final class TransposedConvolution {
  private final CpuContext context;
  private final Grid grid;
  private final Extents kernel;
  private final Primitive product;
  private final long weights;
  private final long inputPlane; // bytes
  private final long outputRow; // bytes
  private final long outputPlane; // bytes
  private final long weightsRow; // bytes
  private final ThreadPool.Task multiplying = this::multiply;
  private long x; // addresses of the present call
  private long y;
  private long skip; // 0 for none

  /**
   * Plans a transposed convolution.
   *
   * @param weight (Cin, Cout, kD, kH, kW)
   * @param grid of what it reads
   * @param adding whether something is added to the result
   */
  TransposedConvolution(
      CpuContext context, Buffer weight, Grid grid, Convolution shape, boolean adding) {
    this.context = context;
    this.grid = grid;
    kernel = shape.kernel();
    Extents in = grid.extents();
    int columns = kernel.width() * shape.outChannels();
    long row = (long) in.width() * columns;
    long inputRow = (long) in.width() * shape.inChannels();
    product =
        context
            .primitives()
            .product(
                new BatchedProduct(
                    in.height(),
                    in.width(),
                    shape.inChannels(),
                    columns,
                    inputRow,
                    kernel.height() * row,
                    adding));
    weights = pack(weight, shape);
    inputPlane = in.height() * inputRow * Float.BYTES;
    outputRow = row * Float.BYTES;
    outputPlane = outputRow * in.height() * kernel.height();
    weightsRow = (long) shape.inChannels() * columns * Float.BYTES;
  }

  /** The plan of an upsampling, made when it is not there. */
  static TransposedConvolution of(CpuContext context, UpsampleParameters p, Grid grid) {
    if (context.packs().kept(p) instanceof TransposedConvolution plan && plan.grid.equals(grid)) {
      return plan;
    }
    Convolution shape = Convolution.patches(p.inChannels(), p.outChannels(), p.stride());
    TransposedConvolution plan = new TransposedConvolution(context, p.weight(), grid, shape, true);
    context.packs().keep(p, List.of(p.weight()), plan);
    return plan;
  }

  /**
   * Writes the result, plus {@code addend} where one was planned; makes no objects.
   *
   * @param from (B, D, H, W, Cin)
   * @param addend (B, D kD, H kH, W kW, Cout), or none
   * @param to (B, D kD, H kH, W kW, Cout)
   */
  void run(Buffer from, @Nullable Buffer addend, Buffer to) {
    x = from.address();
    y = to.address();
    skip = addend == null ? 0 : addend.address();
    context.pool().run(grid.batch() * grid.extents().depth() * kernel.depth(), multiplying);
  }

  private void multiply(int task, Worker worker) {
    long from = x + task / kernel.depth() * inputPlane;
    for (int row = 0; row < kernel.height(); row++) {
      long to = task * outputPlane + row * outputRow;
      long of = weights + ((long) task % kernel.depth() * kernel.height() + row) * weightsRow;
      if (skip == 0) {
        product.run(worker, from, of, y + to);
      } else {
        product.run(worker, from, of, y + to, skip + to);
      }
    }
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
