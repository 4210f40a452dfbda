package org.unetrpp.backend;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.unetrpp.grid.Extents;
import org.unetrpp.memory.Allocator;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.ScopeStack;
import org.unetrpp.window.WindowEngine;

/**
 * One device: its memory and its primitives. Activations are (B, D, H, W, C), channels last;
 * weights have the order of published checkpoints, and an implementation keeps repacked copies of
 * its own. Arguments are buffers and extents that the caller has checked; an implementation may
 * queue the work and return, and {@link #synchronize} waits for it. A primitive overwrites its
 * output, which overlaps an input only where that is said.
 *
 * <p>A backend is driven by one thread at a time. The values of a buffer used as a weight change
 * only through {@link #upload} and the optimizer's update, its statistics also through {@link
 * TrainingPrimitives#updateStatistics}.
 */
public interface Backend extends AutoCloseable {
  /** Short name for messages and test displays, as in {@code cpu} or {@code cuda:0}. */
  String name();

  /** The type of activations, and of parameters unless {@link #parameterType} differs. */
  DType computeType();

  /** The type of parameters, of their gradients and of running statistics. */
  default DType parameterType() {
    return computeType();
  }

  /** Memory of this device. */
  Allocator allocator();

  /** Open scopes of this device. */
  ScopeStack scopes();

  /** The boxes of the paper's figure on this device. */
  Boxes boxes();

  /** What training needs of this device beyond its primitives. */
  TrainingPrimitives training();

  /** The boxes in training mode. */
  TrainingBoxes trainingBoxes();

  /** Who is shown intermediate results. */
  Probe probe();

  /** Shows intermediate results to {@code probe} from now on. */
  void observe(Probe probe);

  /** Copies host values to the device, converting to the type of {@code destination}. */
  void upload(float[] values, Buffer destination);

  /** Copies float32 values of native or heap memory to the device, converting. */
  void upload(MemorySegment values, Buffer destination);

  /** Waits for queued work and copies {@code source} to the host. */
  float[] download(Buffer source);

  /** Waits for queued work and copies {@code source} to float32 values of native or heap memory. */
  void download(Buffer source, MemorySegment destination);

  /** Waits for queued work and copies {@code source} to the host without loss of precision. */
  double[] downloadDouble(Buffer source);

  /** The float32 values of a buffer where the host can reach them in place; none elsewhere. */
  default @Nullable MemorySegment hostView(Buffer source) {
    return null;
  }

  /** (B, C, D, H, W) to (B, D, H, W, C). */
  void channelsLast(Buffer x, Buffer y, Grid grid, int channels);

  /** (B, D, H, W, C) to (B, C, D, H, W). */
  void channelsFirst(Buffer x, Buffer y, Grid grid, int channels);

  /**
   * 3-D convolution.
   *
   * @param x (B, D, H, W, Cin)
   * @param weight (Cout, Cin, kD, kH, kW)
   * @param bias (Cout), or none
   * @param y (B, D', H', W', Cout)
   * @param grid of {@code x}
   */
  void convolution(
      Buffer x, Buffer weight, @Nullable Buffer bias, Buffer y, Grid grid, Convolution shape);

  /**
   * Transposed convolution whose kernel is its stride, so that each input voxel writes a block of
   * its own.
   *
   * @param x (B, D, H, W, Cin)
   * @param weight (Cin, Cout, kD, kH, kW)
   * @param y (B, D kD, H kH, W kW, Cout)
   * @param grid of {@code x}
   * @param shape of the convolution that this one transposes the connections of: {@code inChannels}
   *     are those of {@code x}, kernel and stride are equal
   */
  void transposedConvolution(Buffer x, Buffer weight, Buffer y, Grid grid, Convolution shape);

  /**
   * {@code c = op(a) op(b)}, or {@code c += op(a) op(b)}.
   *
   * @param transposeA whether {@code op(a)} is the transpose of {@code a}
   * @param transposeB whether {@code op(b)} is the transpose of {@code b}
   * @param accumulate whether to add to {@code c}
   */
  void matrixProduct(
      MatrixView a,
      boolean transposeA,
      MatrixView b,
      boolean transposeB,
      MatrixView c,
      boolean accumulate);

  /** Adds {@code bias}, one value for each column, to every row; in place. */
  void addBias(MatrixView x, Buffer bias);

  /**
   * {@code y = (x - mean) / sqrt(variance + epsilon) * gamma + beta} on each row of C values (Ba et
   * al. 2016, eq. 3); {@code y} may be {@code x}.
   */
  void layerNorm(Buffer x, Buffer gamma, Buffer beta, Buffer y, int channels, double epsilon);

  /**
   * Group normalization (Wu and He 2018): mean and biased variance over the voxels and the channels
   * of a group, for each item; scale and shift by channel. {@code y} may be {@code x}. With as many
   * groups as channels and no scale it is instance normalization.
   *
   * @param gamma scale, (C), or none
   * @param beta shift, (C), or none
   */
  void groupNorm(
      Buffer x,
      @Nullable Buffer gamma,
      @Nullable Buffer beta,
      Buffer y,
      Grid grid,
      int channels,
      int groups,
      double epsilon);

  /**
   * Batch normalization with given statistics (Ioffe and Szegedy 2015, as in evaluation); {@code y}
   * may be {@code x}.
   */
  void batchNorm(Buffer x, ChannelNorm.Batch norm, Buffer y, int channels, double epsilon);

  /** {@code y = x} where x is above zero, else {@code slope x}; {@code y} may be {@code x}. */
  void leakyRelu(Buffer x, Buffer y, double slope);

  /** Softmax of each row; {@code y} may be {@code x}. */
  void softmax(Buffer x, Buffer y, int columns);

  /**
   * {@code y = a + b}; the values of {@code b} repeat if they are fewer; {@code y} may be {@code
   * a}.
   */
  void add(Buffer a, Buffer b, Buffer y);

  /** {@code y = a + gamma b}, one gamma for each of C channels; {@code y} may be {@code a}. */
  void addScaled(Buffer a, Buffer gamma, Buffer b, Buffer y, int channels);

  /** Multiplies each run of {@code run} values by the next of {@code scales}; in place. */
  void scaleRuns(Buffer x, Buffer scales, long run);

  /** Divides each column by the larger of its Euclidean norm and 1e-12; in place. */
  void normalizeColumns(MatrixView x);

  /**
   * Plans a computation in evaluation mode that is to be repeated: what it allocates may get fixed
   * places, and what it calls may be noted. It is called now, perhaps several times and without
   * computing anything, and has to call and allocate the same each time. The probe is shown nothing
   * of it.
   *
   * @param computation calls boxes and primitives, allocates in memory scopes, and returns its
   *     result in the innermost one; it neither uploads nor downloads
   * @param spent parameters that only this plan and those made before will read until they are
   *     uploaded anew; the memory of those that it has copies of may be given back
   */
  default Plan plan(Supplier<Buffer> computation, List<Buffer> spent) {
    return new RepeatedComputation(this, computation);
  }

  /**
   * Takes a network for windows of images that are kept on this device; none if the host does as
   * well, or there is no such service. It is closed before the network's parameters.
   *
   * @param channels of a patch
   * @param classes of a prediction
   * @param patch size of a window
   * @param network gives (B, K, D, H, W), in the innermost memory scope, of (B, C, D, H, W) in the
   *     type of activations, and calls and allocates the same each time for the same B
   */
  default Optional<WindowEngine> windows(
      int channels, int classes, Extents patch, UnaryOperator<Buffer> network) {
    return Optional.empty();
  }

  /** Waits for queued work and throws what it failed with. */
  void synchronize();

  @Override
  void close();
}
