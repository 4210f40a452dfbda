package org.unetrpp.augmentation;

import java.util.Arrays;
import java.util.function.DoubleSupplier;

/**
 * What is done to one patch: everything that is drawn, apart from the noise itself. Numbers that
 * change nothing (an angle of 0, a factor of 1) stand for transforms that are left out.
 *
 * @param angles of the rotations about the three axes, slice axis first, in radians
 * @param scale factor of the sampled coordinates
 * @param noise standard deviation of the noise
 * @param blur standard deviation of the Gaussian of each channel, in voxels
 * @param brightness factor of each channel
 * @param contrast factor of each channel's distance from its mean
 * @param zoom factor of the resolution that each channel is brought down to and up from
 * @param invertedGamma exponent of each channel's inverted intensities
 * @param gamma exponent of each channel's intensities
 * @param mirrored whether each axis is reversed
 */
record Recipe(
    double[] angles,
    double scale,
    double noise,
    double[] blur,
    double[] brightness,
    double[] contrast,
    double[] zoom,
    double[] invertedGamma,
    double[] gamma,
    boolean[] mirrored) {
  private static final double NOISE_PROBABILITY = 0.1;

  /** A transform of single channels: how often it happens. */
  private enum OfChannels {
    BLUR(0.2, 0.5, 0),
    BRIGHTNESS(0.15, 1, 1),
    CONTRAST(0.15, 1, 1),
    LOW_RESOLUTION(0.25, 0.5, 1),
    INVERTED_GAMMA(0.1, 1, 1),
    GAMMA(0.3, 1, 1);

    private final double sampleProbability;
    private final double channelProbability;
    private final double unchanged;

    OfChannels(double sampleProbability, double channelProbability, double unchanged) {
      this.sampleProbability = sampleProbability;
      this.channelProbability = channelProbability;
      this.unchanged = unchanged;
    }

    /** A parameter for each channel: {@code unchanged} where sample or channel is left out. */
    double[] draw(Draws draws, int channels, DoubleSupplier parameter) {
      double[] parameters = new double[channels];
      Arrays.fill(parameters, unchanged);
      if (draws.chance(sampleProbability)) {
        for (int channel = 0; channel < channels; channel++) {
          if (draws.chance(channelProbability)) {
            parameters[channel] = parameter.getAsDouble();
          }
        }
      }
      return parameters;
    }
  }

  /** Draws a recipe with the published probabilities and ranges. */
  static Recipe draw(AugmentationSettings settings, int channels, Draws draws) {
    return new Recipe(
        angles(settings, draws),
        scale(settings, draws),
        draws.chance(NOISE_PROBABILITY) ? draws.uniform(0, 0.1) : 0,
        OfChannels.BLUR.draw(draws, channels, () -> draws.uniform(0.5, 1)),
        OfChannels.BRIGHTNESS.draw(draws, channels, () -> draws.uniform(0.75, 1.25)),
        OfChannels.CONTRAST.draw(draws, channels, () -> draws.aroundOne(0.75, 1.25)),
        OfChannels.LOW_RESOLUTION.draw(draws, channels, () -> draws.uniform(0.5, 1)),
        OfChannels.INVERTED_GAMMA.draw(draws, channels, () -> draws.aroundOne(0.7, 1.5)),
        OfChannels.GAMMA.draw(draws, channels, () -> draws.aroundOne(0.7, 1.5)),
        mirrored(settings, draws));
  }

  private static double[] angles(AugmentationSettings settings, Draws draws) {
    double[] angles = new double[3];
    if (draws.chance(settings.rotationProbability())) {
      double largest = Math.toRadians(settings.maxRotationDegrees());
      for (int axis = 0; axis < (settings.sliceWise() ? 1 : 3); axis++) {
        angles[axis] = draws.uniform(-largest, largest);
      }
    }
    return angles;
  }

  private static double scale(AugmentationSettings settings, Draws draws) {
    return draws.chance(settings.scalingProbability())
        ? draws.aroundOne(settings.minScale(), settings.maxScale())
        : 1;
  }

  private static boolean[] mirrored(AugmentationSettings settings, Draws draws) {
    boolean[] mirrored = new boolean[3];
    for (int axis = 0; axis < 3; axis++) {
      mirrored[axis] = settings.mirroring() && draws.chance(0.5);
    }
    return mirrored;
  }

  /** Whether the patch is rotated or scaled. */
  boolean isSpatial() {
    return scale != 1 || angles[0] != 0 || angles[1] != 0 || angles[2] != 0;
  }
}
