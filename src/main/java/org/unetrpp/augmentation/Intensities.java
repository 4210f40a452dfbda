package org.unetrpp.augmentation;

/**
 * Transforms of the intensities of one channel, voxel by voxel, in place. The channel is {@code
 * count} values of {@code image} from {@code first} on.
 */
final class Intensities {
  private static final double SMALLEST_RANGE = 1e-7;
  private static final double SMALLEST_DEVIATION = 1e-8;

  private Intensities() {}

  /** Adds independent normal noise of a standard deviation to all values. */
  static void addNoise(float[] image, double deviation, Draws draws) {
    for (int voxel = 0; voxel < image.length; voxel++) {
      image[voxel] = (float) (image[voxel] + deviation * draws.gaussian());
    }
  }

  /** Brightness: {@code x factor}. */
  static void multiply(float[] image, int first, int count, double factor) {
    for (int voxel = first; voxel < first + count; voxel++) {
      image[voxel] = (float) (image[voxel] * factor);
    }
  }

  /** Contrast: {@code (x - mean) factor + mean}, clipped to what the channel spanned before. */
  static void stretch(float[] image, int first, int count, double factor) {
    double mean = mean(image, first, count);
    Span span = Span.of(image, first, count);
    for (int voxel = first; voxel < first + count; voxel++) {
      float stretched = (float) ((image[voxel] - mean) * factor + mean);
      image[voxel] = Math.clamp(stretched, span.low, span.high);
    }
  }

  /**
   * Gamma: with {@code r} the range of the channel plus 1e-7, {@code ((x - low) / r)^gamma r +
   * low}, then brought back to the channel's mean m and standard deviation s: first {@code x - mean
   * + m}, then {@code x / (deviation + 1e-8) s}. The second step also scales the mean that the
   * first restored, as published.
   *
   * @param inverted whether the channel is negated before and after
   */
  static void gamma(float[] image, int first, int count, double gamma, boolean inverted) {
    if (inverted) {
      negate(image, first, count);
    }
    double mean = mean(image, first, count);
    double deviation = deviation(image, first, count, mean);
    raise(image, first, count, gamma);
    double shift = mean - mean(image, first, count);
    double factor = deviation / (deviation(image, first, count, mean - shift) + SMALLEST_DEVIATION);
    for (int voxel = first; voxel < first + count; voxel++) {
      image[voxel] = (float) ((image[voxel] + shift) * factor);
    }
    if (inverted) {
      negate(image, first, count);
    }
  }

  private static void raise(float[] image, int first, int count, double gamma) {
    Span span = Span.of(image, first, count);
    double low = span.low;
    double range = span.high - low + SMALLEST_RANGE;
    for (int voxel = first; voxel < first + count; voxel++) {
      image[voxel] = (float) (Math.pow((image[voxel] - low) / range, gamma) * range + low);
    }
  }

  private static void negate(float[] image, int first, int count) {
    for (int voxel = first; voxel < first + count; voxel++) {
      image[voxel] = -image[voxel];
    }
  }

  private static double mean(float[] image, int first, int count) {
    double sum = 0;
    for (int voxel = first; voxel < first + count; voxel++) {
      sum += image[voxel];
    }
    return sum / count;
  }

  private static double deviation(float[] image, int first, int count, double mean) {
    double sum = 0;
    for (int voxel = first; voxel < first + count; voxel++) {
      double distance = image[voxel] - mean;
      sum += distance * distance;
    }
    return Math.sqrt(sum / count);
  }

  /** The least and greatest value of a channel. */
  private record Span(float low, float high) {
    static Span of(float[] image, int first, int count) {
      float low = image[first];
      float high = image[first];
      for (int voxel = first; voxel < first + count; voxel++) {
        low = Math.min(low, image[voxel]);
        high = Math.max(high, image[voxel]);
      }
      return new Span(low, high);
    }
  }
}
