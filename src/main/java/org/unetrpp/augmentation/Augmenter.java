package org.unetrpp.augmentation;

import java.util.random.RandomGenerator;
import org.unetrpp.grid.Extents;

/// Transforms training patches at random, in the published order:
///
/// | transform | of a sample | of its channels | parameters |
/// | --- | --- | --- | --- |
/// | rotation, scaling | 0.2 each | together | angles, factor from the settings |
/// | Gaussian noise | 0.1 | all | deviation U(0, 0.1) |
/// | Gaussian blur | 0.2 | 0.5 each | deviation U(0.5, 1) voxels |
/// | brightness | 0.15 | all | factor U(0.75, 1.25) |
/// | contrast | 0.15 | all | factor U(0.75, 1) or U(1, 1.25) |
/// | low resolution | 0.25 | 0.5 each | zoom U(0.5, 1) |
/// | gamma of the inverted image | 0.1 | all | exponent U(0.7, 1) or U(1, 1.5) |
/// | gamma | 0.3 | all | exponent U(0.7, 1) or U(1, 1.5) |
/// | mirroring | 0.5 for each axis | together | |
///
/// At last the image becomes 0 outside of the mask (labels below 0), in the channels that were
/// normalized inside of it, and the label -1 becomes 0. Thread-safe.
public final class Augmenter {
  /** What the larger patch allows for coordinates to grow when scaled; 1 / 0.85, as published. */
  private static final double SCALE_OF_LOADER = 0.85;

  private static final double MAX_ANGLE_OF_LOADER = Math.PI / 2;

  private final AugmentationSettings settings;
  private final boolean[] masked;

  /**
   * An augmenter.
   *
   * @param settings what is drawn
   * @param masked for each channel, whether it was normalized inside of a mask and is 0 outside
   */
  public Augmenter(AugmentationSettings settings, boolean[] masked) {
    this.settings = settings;
    this.masked = masked.clone();
  }

  /**
   * The size of the patches that {@link #apply} takes: large enough that a rotated patch mostly
   * stays inside.
   *
   * <p>The network's patch, seen as a vector from corner to corner, is turned about each axis by
   * the largest angle, at most 90 degrees; the greatest extents that occur are divided by 0.85 and
   * truncated. Slice-wise the depth stays.
   *
   * @param networkPatch extents of the patches that {@link #apply} returns
   */
  public Extents loaderExtents(Extents networkPatch) {
    double[] largest = largestExtents(networkPatch);
    if (settings.scalingProbability() > 0) {
      for (int axis = settings.sliceWise() ? 1 : 0; axis < 3; axis++) {
        largest[axis] /= SCALE_OF_LOADER;
      }
    }
    return new Extents((int) largest[0], (int) largest[1], (int) largest[2]);
  }

  private double[] largestExtents(Extents patch) {
    double[] largest = {patch.depth(), patch.height(), patch.width()};
    if (settings.rotationProbability() > 0) {
      double angle = Math.min(Math.toRadians(settings.maxRotationDegrees()), MAX_ANGLE_OF_LOADER);
      for (int about = 0; about < (settings.sliceWise() ? 1 : 3); about++) {
        double[] angles = new double[3];
        angles[about] = angle;
        double[][] rotation = SamplingGrid.rotation(angles);
        for (int axis = 0; axis < 3; axis++) {
          double turned =
              patch.depth() * rotation[0][axis]
                  + patch.height() * rotation[1][axis]
                  + patch.width() * rotation[2][axis];
          largest[axis] = Math.max(largest[axis], Math.abs(turned));
        }
      }
    }
    return largest;
  }

  /**
   * Draws and applies the transforms of one sample.
   *
   * @param loaderPatch a patch of {@link #loaderExtents}; left as it is
   * @param networkPatch extents of the result
   * @param random decides everything
   * @return a new patch whose labels are at least 0 if those of the given one are at least -1
   * @throws IllegalArgumentException if the patch has other channels than the augmenter, or is
   *     smaller than the network's
   */
  public Patch apply(Patch loaderPatch, Extents networkPatch, RandomGenerator random) {
    requireFits(loaderPatch, networkPatch);
    Draws draws = new Draws(random);
    return apply(loaderPatch, networkPatch, Recipe.draw(settings, masked.length, draws), draws);
  }

  /** Applies what was drawn; the noise follows. */
  Patch apply(Patch loaderPatch, Extents networkPatch, Recipe recipe, Draws noise) {
    Patch patch = spatial(loaderPatch, networkPatch, recipe);
    if (recipe.noise() != 0) {
      Intensities.addNoise(patch.image(), recipe.noise(), noise);
    }
    for (int channel = 0; channel < masked.length; channel++) {
      transformChannel(patch, channel, recipe);
    }
    Mirror.apply(patch, recipe.mirrored());
    clearOutside(patch);
    return patch;
  }

  private void requireFits(Patch patch, Extents network) {
    if (patch.channels() != masked.length) {
      throw new IllegalArgumentException(
          "a patch of %d channels, expected %d".formatted(patch.channels(), masked.length));
    }
    Extents loader = patch.extents();
    boolean larger =
        loader.depth() >= network.depth()
            && loader.height() >= network.height()
            && loader.width() >= network.width();
    if (!larger || (settings.sliceWise() && loader.depth() != network.depth())) {
      throw new IllegalArgumentException(
          "a patch of %s, expected one of %s for %s%s"
              .formatted(
                  loader,
                  loaderExtents(network),
                  network,
                  settings.sliceWise() ? " slice-wise" : ""));
    }
  }

  private Patch spatial(Patch patch, Extents extents, Recipe recipe) {
    if (!recipe.isSpatial()) {
      return SpatialTransform.centerCrop(patch, extents);
    }
    return SpatialTransform.sample(
        patch,
        SamplingGrid.of(
            patch.extents(), extents, settings.sliceWise(), recipe.angles(), recipe.scale()));
  }

  private void transformChannel(Patch patch, int channel, Recipe recipe) {
    float[] image = patch.image();
    int count = patch.labels().length;
    int first = channel * count;
    if (recipe.blur()[channel] != 0) {
      GaussianBlur.apply(image, first, patch.extents(), recipe.blur()[channel]);
    }
    if (recipe.brightness()[channel] != 1) {
      Intensities.multiply(image, first, count, recipe.brightness()[channel]);
    }
    if (recipe.contrast()[channel] != 1) {
      Intensities.stretch(image, first, count, recipe.contrast()[channel]);
    }
    if (recipe.zoom()[channel] != 1) {
      LowResolution.apply(
          image, first, patch.extents(), recipe.zoom()[channel], settings.sliceWise());
    }
    if (recipe.invertedGamma()[channel] != 1) {
      Intensities.gamma(image, first, count, recipe.invertedGamma()[channel], true);
    }
    if (recipe.gamma()[channel] != 1) {
      Intensities.gamma(image, first, count, recipe.gamma()[channel], false);
    }
  }

  private void clearOutside(Patch patch) {
    short[] labels = patch.labels();
    for (int channel = 0; channel < masked.length; channel++) {
      if (masked[channel]) {
        for (int voxel = 0; voxel < labels.length; voxel++) {
          if (labels[voxel] < 0) {
            patch.image()[channel * labels.length + voxel] = 0;
          }
        }
      }
    }
    for (int voxel = 0; voxel < labels.length; voxel++) {
      if (labels[voxel] == -1) {
        labels[voxel] = 0;
      }
    }
  }
}
