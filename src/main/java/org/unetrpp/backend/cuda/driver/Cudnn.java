package org.unetrpp.backend.cuda.driver;

import java.util.List;
import org.unetrpp.memory.DType;

/**
 * What is used of cuDNN, on one stream: the convolutions of its legacy interface, which versions 8
 * and 9 have with the same arguments.
 */
public interface Cudnn extends AutoCloseable {
  /** What a convolution computes. */
  enum Direction {
    /** y of x and the weights. */
    FORWARD,
    /** The gradient of x, of that of y and the weights. */
    BACKWARD_DATA,
    /** The gradient of the weights, of x and the gradient of y. */
    BACKWARD_WEIGHTS
  }

  /**
   * A 3-D convolution in cuDNN's order of axes, with sums in float32.
   *
   * @param dtype of all three tensors
   * @param x extents of x: N, C, D, H, W
   * @param xStrides elements between neighbors along each axis of {@code x}
   * @param weight extents of the weights: K, C, T, R, S; in memory K, T, R, S, C
   * @param y extents of y: N, K, D, H, W
   * @param yStrides elements between neighbors along each axis of {@code y}
   * @param padding zeros on each side
   * @param stride step between outputs
   */
  record Shape(
      DType dtype,
      int[] x,
      int[] xStrides,
      int[] weight,
      int[] y,
      int[] yStrides,
      int[] padding,
      int[] stride) {}

  /** A direction of a convolution, described to the library. */
  interface Plan {}

  /**
   * What one algorithm took.
   *
   * @param deterministic whether it gives the same result every time
   */
  record Measured(int algorithm, float millis, boolean deterministic) {}

  /** Version of the library, as 91002 for 9.10.2. */
  long version();

  /** Describes a convolution. */
  Plan plan(Direction direction, Shape shape, Precision precision);

  void destroy(Plan plan);

  /** Algorithms that the library has for a direction; their numbers start at 0. */
  int algorithms(Direction direction);

  /** Workspace that an algorithm asks for, or -1 if it does not compute this. */
  long workspaceBytes(Plan plan, int algorithm);

  /**
   * Tries all algorithms that the workspace is enough for, and waits for them. The result of the
   * plan's direction is overwritten.
   *
   * @param x address of x, or of its gradient
   * @param weight address of the weights, or of their gradient
   * @param y address of y, or of its gradient
   * @return those that work, the quickest first
   */
  List<Measured> measure(
      Plan plan, long x, long weight, long y, long workspace, long workspaceBytes);

  /** Queues a convolution, with the addresses of {@link #measure}. */
  void run(
      Plan plan, int algorithm, long x, long weight, long y, long workspace, long workspaceBytes);

  @Override
  void close();
}
