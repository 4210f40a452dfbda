package org.unetrpp.pipeline;

import java.util.Objects;
import java.util.function.IntPredicate;
import java.util.function.IntToDoubleFunction;
import org.jspecify.annotations.Nullable;

/// Brings the intensities of a channel to a common scale, in place.
///
/// | scheme | value |
/// | --- | --- |
/// | CT | `(clip(x, p005, p995) - mean) / sd`, all of the training set |
/// | CT2 | the same with mean and sd of this case's voxels `p005 < x < p995` |
/// | not CT | `(x - mean) / (sd + 1e-8)` of this case, of the mask where it is used |
///
/// Where the mask is used, voxels outside become 0. Standard deviations are those of the
/// population. Sums over voxels are in double; the published program sums in float where it
/// computes in float, which differs by its rounding only.
public final class Normalization {
  private static final double SMALLEST_DEVIATION = 1e-8;
  private static final int CHUNK = 1 << 16;

  private Normalization() {}

  /** The type in which values are computed; what is stored is float in any case. */
  public enum Precision {
    /** Of an image that was resampled. */
    FLOAT,
    /** Of an image that kept its extents. */
    DOUBLE
  }

  /** A normalization that looks at no other voxel than the one it changes. */
  interface Pointwise {
    /** Normalizes the voxels {@code from} to {@code to - 1} in place. */
    void apply(float[] voxels, int from, int to);
  }

  /** Whether {@link #pointwise} normalizes a channel. */
  static boolean isPointwise(ChannelPlan plan) {
    return plan.scheme() == NormalizationScheme.CT;
  }

  /** What {@link #apply} does in each voxel of a CT, but for the mask. */
  static Pointwise pointwise(ChannelPlan plan, Precision precision) {
    if (!isPointwise(plan)) {
      throw new IllegalArgumentException("channel %s needs statistics".formatted(plan.name()));
    }
    Scale scale = Scale.of(Objects.requireNonNull(plan.statistics()));
    return precision == Precision.FLOAT ? scale::applyInFloat : scale::applyInDouble;
  }

  /**
   * Normalizes a channel in place.
   *
   * @param voxels the channel, all finite
   * @param plan how
   * @param mask the voxels that count, needed where the plan uses the mask
   * @param precision type of the arithmetic
   * @return what was done to each voxel that counts
   * @throws IllegalArgumentException if the plan uses a mask and there is none, or if the scheme
   *     needs voxels inside the bounds and they are none or all alike
   */
  static Scale apply(
      float[] voxels,
      ChannelPlan plan,
      @Nullable VoxelMask mask,
      Precision precision,
      Workers workers) {
    if (plan.useMask() && (mask == null || mask.extents().voxels() != voxels.length)) {
      throw new IllegalArgumentException(
          "channel %s is normalized in a mask, expected one of its %d voxels"
              .formatted(plan.name(), voxels.length));
    }
    VoxelMask used = plan.useMask() ? mask : null;
    Scale scale = scaleOf(voxels, plan, used, workers);
    workers.forEach(
        Math.ceilDiv(voxels.length, CHUNK),
        chunk -> {
          int from = chunk * CHUNK;
          int to = Math.min(voxels.length, from + CHUNK);
          if (precision == Precision.FLOAT) {
            scale.applyInFloat(voxels, from, to);
          } else {
            scale.applyInDouble(voxels, from, to);
          }
          if (used != null) {
            clearOutside(voxels, used, from, to);
          }
        });
    return scale;
  }

  private static void clearOutside(float[] voxels, VoxelMask mask, int from, int to) {
    for (int voxel = from; voxel < to; voxel++) {
      if (!mask.contains(voxel)) {
        voxels[voxel] = 0;
      }
    }
  }

  private static Scale scaleOf(
      float[] voxels, ChannelPlan plan, @Nullable VoxelMask mask, Workers workers) {
    if (plan.scheme() == NormalizationScheme.NON_CT) {
      Moments moments = Moments.of(voxels, voxel -> mask == null || mask.contains(voxel), workers);
      return new Scale(
          Double.NEGATIVE_INFINITY,
          Double.POSITIVE_INFINITY,
          moments.mean,
          moments.sd + SMALLEST_DEVIATION);
    }
    IntensityStatistics statistics = Objects.requireNonNull(plan.statistics());
    double low = statistics.percentile005();
    double high = statistics.percentile995();
    if (plan.scheme() == NormalizationScheme.CT) {
      return Scale.of(statistics);
    }
    Moments moments =
        Moments.of(voxels, voxel -> voxels[voxel] > low && voxels[voxel] < high, workers);
    if (!(moments.sd > 0)) {
      throw new IllegalArgumentException(
          "channel %s has no two different values between %s and %s, expected some to normalize by"
              .formatted(plan.name(), low, high));
    }
    return new Scale(low, high, moments.mean, moments.sd);
  }

  /** {@code (clip(x, low, high) - mean) / sd}. */
  record Scale(double low, double high, double mean, double sd) {
    static Scale of(IntensityStatistics statistics) {
      return new Scale(
          statistics.percentile005(),
          statistics.percentile995(),
          statistics.mean(),
          statistics.sd());
    }

    void applyInFloat(float[] voxels, int from, int to) {
      float least = (float) low;
      float greatest = (float) high;
      float shift = (float) mean;
      float divisor = (float) sd;
      for (int voxel = from; voxel < to; voxel++) {
        voxels[voxel] = (Math.min(Math.max(voxels[voxel], least), greatest) - shift) / divisor;
      }
    }

    void applyInDouble(float[] voxels, int from, int to) {
      for (int voxel = from; voxel < to; voxel++) {
        double clipped = Math.min(Math.max(voxels[voxel], low), high);
        voxels[voxel] = (float) ((clipped - mean) / sd);
      }
    }
  }

  /**
   * Mean and population standard deviation of some voxels; 0 and 0 of none.
   *
   * @param mean of the voxels
   * @param sd of the voxels, by a second pass
   */
  private record Moments(double mean, double sd) {
    static Moments of(float[] voxels, IntPredicate counts, Workers workers) {
      double count = sum(voxels.length, counts, _ -> 1, workers);
      if (count == 0) {
        return new Moments(0, 0);
      }
      double mean = sum(voxels.length, counts, voxel -> voxels[voxel], workers) / count;
      double squares =
          sum(
              voxels.length,
              counts,
              voxel -> (voxels[voxel] - mean) * (voxels[voxel] - mean),
              workers);
      return new Moments(mean, Math.sqrt(squares / count));
    }

    private static double sum(
        int voxels, IntPredicate counts, IntToDoubleFunction term, Workers workers) {
      double[] partial = new double[Math.ceilDiv(voxels, CHUNK)];
      workers.forEach(
          partial.length,
          chunk -> {
            int to = Math.min(voxels, (chunk + 1) * CHUNK);
            double sum = 0;
            for (int voxel = chunk * CHUNK; voxel < to; voxel++) {
              if (counts.test(voxel)) {
                sum += term.applyAsDouble(voxel);
              }
            }
            partial[chunk] = sum;
          });
      double sum = 0;
      for (double one : partial) { // in the order of the chunks, whoever summed them
        sum += one;
      }
      return sum;
    }
  }
}
