package org.unetrpp.augmentation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.grid.Extents;

class AugmenterTest {
  private static final AugmentationSettings NOTHING_SPATIAL =
      new AugmentationSettings(false, 0, 30, 0, 0.7, 1.4, false);

  private static Augmenter augmenter(AugmentationSettings settings, boolean... masked) {
    return new Augmenter(settings, masked);
  }

  private static Extents extents(String text) {
    String[] parts = text.split("x", 3);
    return new Extents(
        Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), Integer.parseInt(parts[2]));
  }

  @ParameterizedTest
  @CsvSource({
    "64x128x128, true, 64x150x150", // synapse
    "64x128x128, false, 140x205x168",
    "16x160x160, true, 16x188x188", // acdc
    "16x160x160, false, 110x257x188",
    "32x192x192, false, 145x308x225", // lung
    "32x192x192, true, 32x225x225",
    "128x128x128, false, 205x205x205" // tumor
  })
  void loaderPatchesAreThePublishedOnes(String network, boolean sliceWise, String loader) {
    Augmenter augmenter = augmenter(AugmentationSettings.published(sliceWise), false);
    assertThat(augmenter.loaderExtents(extents(network))).isEqualTo(extents(loader));
  }

  @Test
  void loaderPatchIsTheNetworksWhereNothingMoves() {
    Extents network = new Extents(5, 6, 7);
    assertThat(augmenter(NOTHING_SPATIAL, false).loaderExtents(network)).isEqualTo(network);
  }

  private static Recipe recipe(double scale, double gamma, boolean mirrored) {
    double[] one = {1, 1};
    return new Recipe(
        new double[3],
        scale,
        0,
        new double[] {0, 0.7},
        new double[] {1.1, 1},
        new double[] {1.2, 1},
        new double[] {1, 0.6},
        new double[] {0.8, 1},
        gamma == 1 ? one : new double[] {gamma, 1},
        new boolean[] {false, mirrored, false});
  }

  private static Patch twoChannels(Extents extents) {
    int voxels = Math.toIntExact(extents.voxels());
    return new Patch(2, extents, Vectors.image(2L * voxels), Vectors.labels(extents));
  }

  @Test
  void transformsFollowOneAnotherInThePublishedOrder() {
    Extents loader = new Extents(6, 8, 9);
    Extents network = new Extents(4, 6, 6);
    Patch patch = twoChannels(loader);
    Patch result =
        augmenter(NOTHING_SPATIAL, true, false)
            .apply(patch, network, recipe(1.1, 1.3, true), new Draws(new SplittableRandom(1)));

    Patch expected =
        SpatialTransform.sample(patch, SamplingGrid.of(loader, network, false, new double[3], 1.1));
    float[] image = expected.image();
    Intensities.multiply(image, 0, 144, 1.1);
    Intensities.stretch(image, 0, 144, 1.2);
    Intensities.gamma(image, 0, 144, 0.8, true);
    Intensities.gamma(image, 0, 144, 1.3, false);
    GaussianBlur.apply(image, 144, network, 0.7);
    LowResolution.apply(image, 144, network, 0.6, false);
    Mirror.apply(expected, new boolean[] {false, true, false});
    short[] labels = expected.labels();
    assertThat(labels).contains((short) -1);
    for (int voxel = 0; voxel < 144; voxel++) {
      boolean outside = labels[voxel] == -1;
      assertThat(result.image()[voxel]).isEqualTo(outside ? 0 : image[voxel]);
      assertThat(result.image()[144 + voxel]).isEqualTo(image[144 + voxel]);
      assertThat(result.labels()[voxel]).isEqualTo(outside ? 0 : labels[voxel]);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void samplesAreFiniteAndTheirPatchIsLeftAlone(boolean sliceWise) {
    Augmenter augmenter = augmenter(AugmentationSettings.published(sliceWise), true, false);
    Extents network = new Extents(6, 8, 8);
    Patch patch = twoChannels(augmenter.loaderExtents(network));
    float[] image = patch.image().clone();
    short[] labels = patch.labels().clone();
    SplittableRandom random = new SplittableRandom(5);
    for (int sample = 0; sample < 200; sample++) {
      Patch result = augmenter.apply(patch, network, random);
      assertThat(result.extents()).isEqualTo(network);
      for (float value : result.image()) {
        assertThat(value).isFinite();
      }
      for (short label : result.labels()) {
        assertThat(label).isIn((short) 0, (short) 1, (short) 2, (short) 5);
      }
    }
    assertThat(patch.image()).containsExactly(image);
    assertThat(patch.labels()).containsExactly(labels);
  }

  @Test
  void sameGeneratorGivesTheSameBytes() {
    Augmenter augmenter = augmenter(AugmentationSettings.published(false), true, false);
    Extents network = new Extents(6, 8, 8);
    Patch patch = twoChannels(augmenter.loaderExtents(network));
    for (int seed = 0; seed < 20; seed++) {
      Patch first = augmenter.apply(patch, network, new SplittableRandom(seed));
      Patch second = augmenter.apply(patch, network, new SplittableRandom(seed));
      assertThat(second.image()).containsExactly(first.image());
      assertThat(second.labels()).containsExactly(first.labels());
    }
  }

  @Test
  void patchThatDoesNotFitIsRefused() {
    Extents network = new Extents(4, 8, 8);
    Augmenter augmenter = augmenter(AugmentationSettings.published(true), false);
    SplittableRandom random = new SplittableRandom(1);
    assertThatThrownBy(() -> augmenter.apply(Vectors.patch(new Extents(4, 7, 9)), network, random))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a patch of 4x7x9, expected one of 4x9x9 for 4x8x8 slice-wise");
    assertThatThrownBy(() -> augmenter.apply(Vectors.patch(new Extents(5, 9, 9)), network, random))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a patch of 5x9x9, expected one of 4x9x9 for 4x8x8 slice-wise");
    assertThatThrownBy(() -> augmenter.apply(twoChannels(network), network, random))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a patch of 2 channels, expected 1");
  }

  @Test
  void settingsOutOfRangeAreRefused() {
    assertThatThrownBy(() -> new AugmentationSettings(false, 1.2, 30, 0.2, 0.7, 1.4, true))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("rotationProbability is 1.2, expected a number from 0.0 to 1.0");
    assertThatThrownBy(() -> new AugmentationSettings(false, 0.2, 30, 0.2, 0, 1.4, true))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("minScale is 0.0, expected a number above 0 and at most 1");
    assertThatThrownBy(() -> new AugmentationSettings(false, 0.2, 30, 0.2, 0.7, Double.NaN, true))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("maxScale is NaN, expected a finite number from 1");
  }
}
