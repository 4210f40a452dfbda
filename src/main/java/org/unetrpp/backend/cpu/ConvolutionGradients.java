package org.unetrpp.backend.cpu;

import java.util.HashMap;
import java.util.Map;
import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cpu.BackwardPrimitives.PieceKey;
import org.unetrpp.backend.cpu.Primitives.Epilogue;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;

/** The gradients of convolutions of any shape. */
final class ConvolutionGradients {
  private final CpuBackend backend;
  private final CpuContext context;
  private final BackwardPrimitives primitives;
  private final Map<Key, WeightGradient> plans = new HashMap<>();

  private record Key(Convolution shape, Grid grid) {}

  ConvolutionGradients(CpuBackend backend, BackwardPrimitives primitives) {
    this.backend = backend;
    this.primitives = primitives;
    context = backend.context();
  }

  /**
   * The input's gradient: a convolution with the kernel turned around where the stride is 1, a
   * transposed convolution where kernels touch but do not overlap, and else as oneDNN does it.
   */
  void data(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    Extents output = shape.output(grid.extents());
    if (isPatches(shape) && output.times(shape.kernel()).equals(grid.extents())) {
      Convolution turned =
          Convolution.patches(shape.outChannels(), shape.inChannels(), shape.kernel());
      backend.transposedConvolution(dy, weight, dx, new Grid(grid.batch(), output), turned);
    } else if (isFlippable(shape)) {
      flipped(dy, weight, dx, new Grid(grid.batch(), output), shape);
    } else {
      general(dy, weight, dx, grid, shape);
    }
  }

  private static boolean isPatches(Convolution shape) {
    return shape.kernel().equals(shape.stride())
        && shape.kernel().voxels() > 1
        && shape.padding().equals(Extents.cube(0));
  }

  private static boolean isFlippable(Convolution shape) {
    for (int axis = 0; axis < 3; axis++) {
      if (shape.stride().along(axis) != 1
          || shape.padding().along(axis) >= shape.kernel().along(axis)) {
        return false;
      }
    }
    return true;
  }

  private void flipped(Buffer dy, Buffer weight, Buffer dx, Grid output, Convolution shape) {
    Extents kernel = shape.kernel();
    Extents padding = shape.padding();
    Convolution turned =
        new Convolution(
            shape.outChannels(),
            shape.inChannels(),
            kernel,
            shape.stride(),
            new Extents(
                kernel.depth() - 1 - padding.depth(),
                kernel.height() - 1 - padding.height(),
                kernel.width() - 1 - padding.width()));
    PlannedConvolution plan = backend.convolution(turned, output.extents(), Epilogue.NONE);
    plan.withFlipped(
        weight,
        packed ->
            plan.runAll(
                context.pool(), output.batch(), PlannedConvolution.operands(dy, packed, dx)));
  }

  private void general(Buffer dy, Buffer weight, Buffer dx, Grid grid, Convolution shape) {
    int padding = shape.padding().depth();
    Primitive primitive =
        primitives.convolutionData(new PieceKey(shape, 1, grid.extents(), padding, padding));
    long dyItem = dy.bytes() / grid.batch();
    long dxItem = dx.bytes() / grid.batch();
    context
        .pool()
        .run(
            grid.batch(),
            (item, worker) ->
                primitive.run(
                    worker,
                    dy.address() + item * dyItem,
                    weight.address(),
                    dx.address() + item * dxItem));
  }

  /** Adds the weights' gradient. */
  void weights(Buffer x, Buffer dy, Buffer dweight, Grid grid, Convolution shape) {
    Key key = new Key(shape, grid);
    WeightGradient plan = plans.get(key);
    if (plan == null) {
      plan = new WeightGradient(context, primitives, shape, grid);
      plans.put(key, plan);
    }
    try (MemoryScope _ = backend.scopes().open()) {
      Buffer slots = backend.scopes().allocate(DType.FLOAT32, plan.slotValues());
      plan.add(x, dy, dweight, slots.address());
    }
  }
}
