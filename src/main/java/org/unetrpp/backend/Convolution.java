package org.unetrpp.backend;

import org.unetrpp.grid.Extents;

/**
 * Shape of a 3-D convolution without groups or dilation, zero padded on both sides.
 *
 * @param inChannels channels read
 * @param outChannels channels written
 * @param kernel kernel extents
 * @param stride step between outputs
 * @param padding zeros on each side
 */
public record Convolution(
    int inChannels, int outChannels, Extents kernel, Extents stride, Extents padding) {
  private static final Extents ONE = Extents.cube(1);
  private static final Extents NONE = Extents.cube(0);

  /** A 3x3x3 convolution that keeps the extents. */
  public static Convolution same3(int inChannels, int outChannels) {
    return new Convolution(inChannels, outChannels, Extents.cube(3), ONE, ONE);
  }

  /** A 1x1x1 convolution. */
  public static Convolution pointwise(int inChannels, int outChannels) {
    return new Convolution(inChannels, outChannels, ONE, ONE, NONE);
  }

  /** A convolution whose kernels touch but do not overlap. */
  public static Convolution patches(int inChannels, int outChannels, Extents kernel) {
    return new Convolution(inChannels, outChannels, kernel, kernel, NONE);
  }

  /** Extents of the output for an input of these extents. */
  public Extents output(Extents input) {
    return new Extents(outputExtent(input, 0), outputExtent(input, 1), outputExtent(input, 2));
  }

  private int outputExtent(Extents input, int axis) {
    return (input.along(axis) + 2 * padding.along(axis) - kernel.along(axis)) / stride.along(axis)
        + 1;
  }
}
