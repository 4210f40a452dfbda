package org.unetrpp.backend.cpu;

import org.jspecify.annotations.Nullable;

/**
 * The gradient of group normalization of one item, {@code dx = rstd (gamma dy - mean(gamma dy) -
 * xhat mean(gamma dy xhat))} with means over the voxels and channels of a group, as {@code dx =
 * scale dy - ((x - mean) slope + shift)} with one of each for every channel.
 */
final class GroupNormGradient {
  private final double[] dgamma;
  private final double[] dbeta;
  private final float[] mean;
  private final float[] scale;
  private final float[] slope;
  private final float[] shift;

  /**
   * From the sums over one item.
   *
   * @param gamma scale, or none
   */
  GroupNormGradient(GradientMoments sums, float @Nullable [] gamma, int groups, double epsilon) {
    Moments moments = sums.input().byGroup(groups);
    int channels = moments.channels();
    int size = channels / groups;
    double count = moments.count();
    dgamma = new double[channels];
    dbeta = new double[channels];
    float[] means = new float[channels];
    float[] scales = new float[channels];
    float[] slopes = new float[channels];
    float[] shifts = new float[channels];
    for (int first = 0; first < channels; first += size) {
      double center = moments.mean(first);
      double rstd = 1 / Math.sqrt(moments.variance(first) + epsilon);
      double sum = 0;
      double product = 0;
      for (int channel = first; channel < first + size; channel++) {
        double factor = gamma == null ? 1 : gamma[channel];
        dbeta[channel] = sums.sum(channel);
        dgamma[channel] = sums.product(channel, center) * rstd;
        sum += factor * dbeta[channel];
        product += factor * dgamma[channel];
      }
      for (int channel = first; channel < first + size; channel++) {
        double factor = gamma == null ? 1 : gamma[channel];
        means[channel] = (float) center;
        scales[channel] = (float) (factor * rstd);
        slopes[channel] = (float) (product / count * rstd * rstd);
        shifts[channel] = (float) (sum / count * rstd);
      }
    }
    int tile = Loops.tile(channels);
    mean = Loops.repeated(means, tile);
    scale = Loops.repeated(scales, tile);
    slope = Loops.repeated(slopes, tile);
    shift = Loops.repeated(shifts, tile);
  }

  /** The gradient of the scale. */
  double[] dgamma() {
    return dgamma;
  }

  /** The gradient of the shift. */
  double[] dbeta() {
    return dbeta;
  }

  /** Turns a tile of whole rows of dy into dx. */
  void apply(float[] dy, float[] x, int count) {
    Loops.normalizeGradient(dy, x, mean, scale, slope, shift, count);
  }
}
