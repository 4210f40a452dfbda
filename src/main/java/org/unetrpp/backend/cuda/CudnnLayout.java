package org.unetrpp.backend.cuda;

import org.unetrpp.backend.Convolution;
import org.unetrpp.backend.Grid;
import org.unetrpp.backend.cuda.driver.Cudnn;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.DType;

/** Channels-last convolutions in the terms of cuDNN, whose axes are N, C, D, H, W in any memory. */
final class CudnnLayout {
  private CudnnLayout() {}

  /**
   * A convolution.
   *
   * @param grid of x
   */
  static Cudnn.Shape of(DType dtype, Grid grid, Convolution shape) {
    Grid output = new Grid(grid.batch(), shape.output(grid.extents()));
    return new Cudnn.Shape(
        dtype,
        extents(grid.batch(), shape.inChannels(), grid.extents()),
        strides(shape.inChannels(), grid.extents()),
        extents(shape.outChannels(), shape.inChannels(), shape.kernel()),
        extents(grid.batch(), shape.outChannels(), output.extents()),
        strides(shape.outChannels(), output.extents()),
        shape.padding().toArray(),
        shape.stride().toArray());
  }

  private static int[] extents(int items, int channels, Extents extents) {
    return new int[] {items, channels, extents.depth(), extents.height(), extents.width()};
  }

  /** Of (N, D, H, W, C) in memory, in the order N, C, D, H, W. */
  private static int[] strides(int channels, Extents extents) {
    int row = Math.multiplyExact(extents.width(), channels);
    int plane = Math.multiplyExact(extents.height(), row);
    int item = Math.multiplyExact(extents.depth(), plane);
    return new int[] {item, 1, plane, row, channels};
  }
}
