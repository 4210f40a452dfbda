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
  private static final double BLUR_PROBABILITY = 0.2;
  private static final double BRIGHTNESS_PROBABILITY = 0.15;
  private static final double CONTRAST_PROBABILITY = 0.15;
  private static final double LOW_RESOLUTION_PROBABILITY = 0.25;
  private static final double INVERTED_GAMMA_PROBABILITY = 0.1;
  private static final double GAMMA_PROBABILITY = 0.3;
  private static final double HALF_OF_THE_CHANNELS = 0.5;
  private static final double ALL_CHANNELS = 1;

  /** Draws a recipe with the published probabilities and ranges. */
  static Recipe draw(AugmentationSettings settings, int channels, Draws draws) {
    return new Recipe(
        angles(settings, draws),
        draws.chance(settings.scalingProbability())
            ? draws.aroundOne(settings.minScale(), settings.maxScale())
            : 1,
        draws.chance(NOISE_PROBABILITY) ? draws.uniform(0, 0.1) : 0,
        channels(
            draws,
            channels,
            BLUR_PROBABILITY,
            HALF_OF_THE_CHANNELS,
            0,
            () -> draws.uniform(0.5, 1)),
        channels(
            draws,
            channels,
            BRIGHTNESS_PROBABILITY,
            ALL_CHANNELS,
            1,
            () -> draws.uniform(0.75, 1.25)),
        channels(
            draws,
            channels,
            CONTRAST_PROBABILITY,
            ALL_CHANNELS,
            1,
            () -> draws.aroundOne(0.75, 1.25)),
        channels(
            draws,
            channels,
            LOW_RESOLUTION_PROBABILITY,
            HALF_OF_THE_CHANNELS,
            1,
            () -> draws.uniform(0.5, 1)),
        channels(
            draws,
            channels,
            INVERTED_GAMMA_PROBABILITY,
            ALL_CHANNELS,
            1,
            () -> draws.aroundOne(0.7, 1.5)),
        channels(
            draws, channels, GAMMA_PROBABILITY, ALL_CHANNELS, 1, () -> draws.aroundOne(0.7, 1.5)),
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

  /** A number for each channel: {@code unchanged} where the sample or the channel is left out. */
  private static double[] channels(
      Draws draws,
      int channels,
      double sampleProbability,
      double channelProbability,
      double unchanged,
      DoubleSupplier parameter) {
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
