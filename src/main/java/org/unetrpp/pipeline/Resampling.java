package org.unetrpp.pipeline;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.OptionalInt;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

/// Resampling between voxel spacings as the published pipeline does it.
///
/// Output `i` of `m` along an axis of `n` lies at `u = n/m (i + 1/2) - 1/2`; the border's voxels go
/// on outside. Arithmetic is in double, the result is rounded to the type of the input once.
///
/// Volumes of very different spacings are resampled slice by slice: in the slice with the given
/// order, and across slices by taking the nearest ([#separateAxis]).
///
/// | use | order in a slice | across slices when separate |
/// | --- | --- | --- |
/// | image | cubic, clipped to the range of the input (of each slice when separate) | nearest |
/// | labels | linear, each label's indicator by itself, at least 1/2 | nearest |
/// | probabilities | linear | nearest |
///
/// Where an indicator is exactly 1/2, as between two slices of a spacing that is 3/2 of the new,
/// the label claims the voxel; the published program's rounding decides there, either way.
///
/// Where no extent changes, the input comes back as it is. Memory beside input and result: up to
/// five slices a thread, and for a cubic B-spline across slices 8 bytes a source voxel.
public final class Resampling {
  /** Spacings further apart than this are resampled slice by slice. */
  public static final double ANISOTROPY_THRESHOLD = 3;

  private static final int LABEL_VALUES = 1 << Short.SIZE;

  private Resampling() {}

  /**
   * Extents at another spacing: {@code original / target * extents}, rounded half to even, and at
   * least 1.
   */
  public static Extents newExtents(Extents extents, Spacing original, Spacing target) {
    int[] result = new int[3];
    for (int axis = 0; axis < 3; axis++) {
      double exact = original.along(axis) / target.along(axis) * extents.along(axis);
      if (!(exact < Integer.MAX_VALUE)) {
        throw new IllegalArgumentException(
            "%s voxels of %s at %s, expected below 2^31 along each axis"
                .formatted(extents, original, target));
      }
      result[axis] = Math.max(1, (int) Math.rint(exact));
    }
    return Extents.of(result);
  }

  /**
   * The axis across which to resample separately: the one of the largest spacing of the first of
   * original and target whose largest spacing is more than three times its smallest. Empty if
   * neither is so anisotropic, or if the largest spacing occurs on several axes.
   */
  public static OptionalInt separateAxis(Spacing original, Spacing target) {
    if (isAnisotropic(original)) {
      return axisOfLargest(original);
    }
    return isAnisotropic(target) ? axisOfLargest(target) : OptionalInt.empty();
  }

  /** Why {@link #separateAxis} is what it is, in words. */
  static String separateReason(Spacing original, Spacing target) {
    String deciding = isAnisotropic(original) ? "spacing before" : "spacing after";
    if (!isAnisotropic(original) && !isAnisotropic(target)) {
      return "neither spacing is more than 3 times as large along one axis as along another";
    }
    String apart = deciding + " is more than 3 times as large along one axis as along another";
    return separateAxis(original, target).isPresent()
        ? apart
        : apart + ", but is largest along several";
  }

  private static boolean isAnisotropic(Spacing spacing) {
    double smallest = Math.min(spacing.depth(), Math.min(spacing.height(), spacing.width()));
    return largest(spacing) / smallest > ANISOTROPY_THRESHOLD;
  }

  private static OptionalInt axisOfLargest(Spacing spacing) {
    OptionalInt found = OptionalInt.empty();
    for (int axis = 0; axis < 3; axis++) {
      if (spacing.along(axis) == largest(spacing)) {
        if (found.isPresent()) {
          return OptionalInt.empty();
        }
        found = OptionalInt.of(axis);
      }
    }
    return found;
  }

  private static double largest(Spacing spacing) {
    return Math.max(spacing.depth(), Math.max(spacing.height(), spacing.width()));
  }

  /**
   * A channel of an image at other extents, by {@link Interpolation#CUBIC}.
   *
   * @param channel (D, H, W)
   * @param from extents of the channel
   * @param to extents of the result
   * @param separateAxis across which to take the nearest slice
   * @param rule which cubic
   * @return (D, H, W) of the result; the channel itself if no extent changes
   */
  public static float[] image(
      float[] channel,
      Extents from,
      Extents to,
      OptionalInt separateAxis,
      SplineRule rule,
      Workers workers) {
    return resize(channel, from, to, Interpolation.CUBIC, separateAxis, rule, workers);
  }

  /**
   * A volume at other extents.
   *
   * @param volume (D, H, W), all finite
   * @param from extents of the volume
   * @param to extents of the result
   * @param interpolation order, in the slice if there is a separate axis
   * @param separateAxis across which to take the nearest slice
   * @param rule which cubic, where the interpolation is cubic
   * @return (D, H, W) of the result; the volume itself if no extent changes
   */
  public static float[] resize(
      float[] volume,
      Extents from,
      Extents to,
      Interpolation interpolation,
      OptionalInt separateAxis,
      SplineRule rule,
      Workers workers) {
    requireLength(volume.length, from);
    if (from.equals(to)) {
      return volume;
    }
    VolumeResize.SliceSource slices = VolumeResize.slicesOf(MemorySegment.ofArray(volume), from);
    return resize(slices, from, to, interpolation, separateAxis, rule, workers);
  }

  /**
   * As {@link #resize(float[], Extents, Extents, Interpolation, OptionalInt, SplineRule, Workers)}
   * of slices that any thread may read, into a new array.
   */
  static float[] resize(
      VolumeResize.SliceSource slices,
      Extents from,
      Extents to,
      Interpolation interpolation,
      OptionalInt separateAxis,
      SplineRule rule,
      Workers workers) {
    VolumeResize resize = resizeOf(from, to, interpolation, separateAxis, rule);
    ValueRange range =
        interpolation == Interpolation.CUBIC
            ? ValueRange.of(slices, from, separateAxis, workers).resized(to, separateAxis)
            : ValueRange.unlimited(to);
    float[] result = new float[Math.toIntExact(to.voxels())];
    int area = to.height() * to.width();
    resize.run(
        "resampling",
        slices,
        workers,
        (slice, rows) -> range.store(slice, rows, result, slice * area));
    return result;
  }

  /**
   * Labels at other extents: the indicator of each label that occurs is resampled linearly and
   * claims the voxels where it is at least 1/2, in ascending order of the labels, so that the
   * higher wins a tie. Voxels that no label claims become 0.
   *
   * @param labels (D, H, W), negative values allowed
   * @param from extents of the labels
   * @param to extents of the result
   * @param separateAxis across which to take the nearest slice
   * @return (D, H, W) of the result; the labels themselves if no extent changes
   */
  public static short[] labels(
      short[] labels, Extents from, Extents to, OptionalInt separateAxis, Workers workers) {
    requireLength(labels.length, from);
    if (from.equals(to)) {
      return labels;
    }
    VolumeResize resize = resizeOf(from, to, Interpolation.LINEAR, separateAxis, SplineRule.PINNED);
    short[] result = new short[Math.toIntExact(to.voxels())];
    int area = from.height() * from.width();
    for (short label : distinct(labels)) {
      resize.run(
          "resampling label " + label,
          (slice, target) -> indicator(labels, slice * area, label, target),
          workers,
          (slice, rows) -> claim(rows, to, slice, label, result));
    }
    return result;
  }

  private static void indicator(short[] labels, int first, short label, float[] target) {
    for (int index = 0; index < target.length; index++) {
      target[index] = labels[first + index] == label ? 1 : 0;
    }
  }

  private static void claim(double[][] rows, Extents to, int slice, short label, short[] result) {
    for (int row = 0; row < to.height(); row++) {
      int first = (slice * to.height() + row) * to.width();
      for (int column = 0; column < to.width(); column++) {
        if (rows[row][column] >= 0.5) {
          result[first + column] = label;
        }
      }
    }
  }

  private static short[] distinct(short[] labels) {
    boolean[] occurs = new boolean[LABEL_VALUES];
    for (short label : labels) {
      occurs[label - Short.MIN_VALUE] = true;
    }
    short[] distinct = new short[LABEL_VALUES];
    int count = 0;
    for (int value = 0; value < LABEL_VALUES; value++) {
      if (occurs[value]) {
        distinct[count++] = (short) (value + Short.MIN_VALUE);
      }
    }
    return Arrays.copyOf(distinct, count);
  }

  private static void requireLength(int length, Extents extents) {
    if (length != extents.voxels()) {
      throw new IllegalArgumentException(
          "%d voxels, expected %d for %s".formatted(length, extents.voxels(), extents));
    }
  }

  /** The kernels of all axes. */
  static VolumeResize resizeOf(
      Extents from,
      Extents to,
      Interpolation interpolation,
      OptionalInt separateAxis,
      SplineRule rule) {
    boolean inPlane = separateAxis.isPresent() || from.width() == to.width();
    boolean convolution = rule == SplineRule.PINNED && inPlane;
    AxisKernel[] kernels = new AxisKernel[3];
    for (int axis = 0; axis < 3; axis++) {
      int length = from.along(axis);
      int newLength = to.along(axis);
      if (length == newLength) {
        kernels[axis] = AxisKernel.identity(length);
      } else if (separateAxis.equals(OptionalInt.of(axis))) {
        kernels[axis] = AxisKernel.nearest(length, newLength);
      } else {
        kernels[axis] = kernel(interpolation, convolution, length, newLength);
      }
    }
    return new VolumeResize(kernels[0], kernels[1], kernels[2]);
  }

  private static AxisKernel kernel(
      Interpolation interpolation, boolean convolution, int from, int to) {
    return switch (interpolation) {
      case NEAREST -> AxisKernel.nearest(from, to);
      case LINEAR -> AxisKernel.linear(from, to);
      case CUBIC -> convolution ? AxisKernel.catmullRom(from, to) : AxisKernel.bSpline(from, to);
    };
  }
}
