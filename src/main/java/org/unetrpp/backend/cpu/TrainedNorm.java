package org.unetrpp.backend.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.unetrpp.backend.ChannelNorm;

/**
 * A normalization of one call by the statistics of its input: those of each item, or of the whole
 * batch. They are kept for the gradient.
 */
final class TrainedNorm {
  private final ChannelNorm norm;
  private final int channels;

  /** Statistics of each item; the same ones for all items of a batch normalization. */
  private final Moments[] moments;

  private final float @Nullable [] gamma;
  private final float @Nullable [] beta;

  /**
   * From the statistics of each item.
   *
   * @param items one for each item
   */
  TrainedNorm(ChannelNorm norm, Moments[] items) {
    this.norm = norm;
    channels = items[0].channels();
    switch (norm) {
      case ChannelNorm.Instance() -> {
        moments = items;
        gamma = null;
        beta = null;
      }
      case ChannelNorm.Batch batch -> {
        Moments all = new Moments(channels);
        for (Moments item : items) {
          all.merge(item);
        }
        moments = new Moments[items.length];
        Arrays.fill(moments, all);
        gamma = Values.of(batch.gamma()).toArray();
        beta = Values.of(batch.beta()).toArray();
      }
    }
  }

  /** Moves the running statistics, if it has any. */
  void updateStatistics(NormalizationGradients gradients, double momentum) {
    if (norm instanceof ChannelNorm.Batch batch) {
      gradients.updateStatistics(moments[0], batch, momentum);
    }
  }

  /**
   * The normalization of each item.
   *
   * @param shifts added to each item's shift, or none
   */
  Affine[] affines(float @Nullable [][] shifts) {
    Affine[] affines = new Affine[moments.length];
    for (int item = 0; item < affines.length; item++) {
      float[] shift = beta;
      if (shifts != null) {
        shift = shifts[item].clone();
        for (int channel = 0; beta != null && channel < channels; channel++) {
          shift[channel] += beta[channel];
        }
      }
      affines[item] = Affine.of(moments[item], gamma, shift, channels, ChannelNorm.EPSILON);
    }
    return affines;
  }

  /** The mean of each channel of each item, by the tile. */
  float[][] means(int tile) {
    float[][] means = new float[moments.length][];
    for (int item = 0; item < means.length; item++) {
      float[] mean = new float[channels];
      for (int channel = 0; channel < channels; channel++) {
        mean[channel] = (float) moments[item].mean(channel);
      }
      means[item] = Loops.repeated(mean, tile);
    }
    return means;
  }

  /**
   * The gradient, and adds those of scale and shift.
   *
   * @param sums of each item: those of the gradient, and of the gradient times what the input
   *     differs from {@link #means}
   * @param gradients where those of scale and shift go
   */
  GroupNormGradient[] gradients(ChannelSums[] sums, ChannelNorm gradients) {
    GroupNormGradient[] found = new GroupNormGradient[moments.length];
    if (gradients instanceof ChannelNorm.Batch to) {
      ChannelSums all = new ChannelSums(channels);
      for (ChannelSums item : sums) {
        all.add(item);
      }
      GroupNormGradient gradient = gradient(moments[0], all);
      Sums.addTo(to.gamma(), gradient.dgamma());
      Sums.addTo(to.beta(), gradient.dbeta());
      Arrays.fill(found, gradient);
    } else {
      Arrays.setAll(found, item -> gradient(moments[item], sums[item]));
    }
    return found;
  }

  private GroupNormGradient gradient(Moments input, ChannelSums sums) {
    double[] products = sums.products().clone();
    for (int channel = 0; channel < channels; channel++) {
      double rounding = input.mean(channel) - (float) input.mean(channel);
      products[channel] -= rounding * sums.sums()[channel];
    }
    return new GroupNormGradient(
        new GradientMoments(input, sums.sums(), products), gamma, channels, ChannelNorm.EPSILON);
  }
}
