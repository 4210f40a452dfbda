package org.unetrpp.augmentation;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.grid.Extents;

class ChannelTransformsTest {
  /** A unit in the last place of a float below 1, and the rounding of the vectors' text. */
  private static final Offset<Float> ROUNDING = Offset.offset(1e-7f);

  /** Values up to 4 that are rounded to float twice more than those of the vectors. */
  private static final Offset<Float> ROUNDED_TWICE = Offset.offset(1e-6f);

  private static final int FIRST = 3;

  static List<JsonObject> blurs() {
    return Vectors.cases("blur.json");
  }

  static List<JsonObject> lowResolutions() {
    return Vectors.cases("low-resolution.json");
  }

  static List<JsonObject> intensities() {
    return Vectors.cases("intensities.json");
  }

  /** A channel between values that must not change. */
  private static float[] framed(float[] channel) {
    float[] image = new float[channel.length + 2 * FIRST];
    Arrays.fill(image, 77);
    System.arraycopy(channel, 0, image, FIRST, channel.length);
    return image;
  }

  private static void assertChannel(float[] image, float[] expected, Offset<Float> offset) {
    assertThat(Arrays.copyOfRange(image, FIRST, image.length - FIRST))
        .containsExactly(expected, offset);
    for (int voxel = 0; voxel < FIRST; voxel++) {
      assertThat(image[voxel]).isEqualTo(77);
      assertThat(image[image.length - 1 - voxel]).isEqualTo(77);
    }
  }

  @ParameterizedTest
  @MethodSource("blurs")
  void blurMatchesScipy(JsonObject vector) {
    Extents extents = Vectors.extents(vector, "extents");
    float[] image = framed(Vectors.image(extents.voxels()));
    GaussianBlur.apply(image, FIRST, extents, vector.get("deviation").getAsDouble());
    assertChannel(image, Vectors.floats(vector, "output"), ROUNDING);
  }

  @ParameterizedTest
  @MethodSource("lowResolutions")
  void lowResolutionMatchesScipy(JsonObject vector) {
    Extents extents = Vectors.extents(vector, "extents");
    float[] image = framed(Vectors.image(extents.voxels()));
    LowResolution.apply(
        image,
        FIRST,
        extents,
        vector.get("zoom").getAsDouble(),
        vector.get("sliceWise").getAsBoolean());
    assertChannel(image, Vectors.floats(vector, "output"), ROUNDING);
  }

  private static float[] channel() {
    float[] channel = Vectors.image(60);
    for (int voxel = 0; voxel < channel.length; voxel++) {
      channel[voxel] = 2 * channel[voxel] + 0.75f;
    }
    return channel;
  }

  @ParameterizedTest
  @MethodSource("intensities")
  void contrastMatchesTheFormula(JsonObject vector) {
    float[] image = framed(channel());
    Intensities.stretch(image, FIRST, 60, vector.get("factor").getAsDouble());
    assertChannel(image, Vectors.floats(vector, "contrast"), ROUNDED_TWICE);
  }

  @ParameterizedTest
  @MethodSource("intensities")
  void gammaMatchesThePublishedFormula(JsonObject vector) {
    float[] image = framed(channel());
    Intensities.gamma(image, FIRST, 60, vector.get("exponent").getAsDouble(), false);
    assertChannel(image, Vectors.floats(vector, "gamma"), ROUNDED_TWICE);
  }

  @ParameterizedTest
  @MethodSource("intensities")
  void gammaOfTheInvertedChannelMatchesThePublishedFormula(JsonObject vector) {
    float[] image = framed(channel());
    Intensities.gamma(image, FIRST, 60, vector.get("exponent").getAsDouble(), true);
    assertChannel(image, Vectors.floats(vector, "inverted"), ROUNDED_TWICE);
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  void gammaOfAConstantChannelIsFinite(boolean inverted) {
    float[] image = {2, 2, 2, 2};
    Intensities.gamma(image, 0, 4, 1.3, inverted);
    assertThat(image).containsOnly(0f); // as published: the deviation of 0 also scales the mean
  }

  @Test
  void brightnessMultiplies() {
    float[] image = framed(new float[] {1, -2, 3});
    Intensities.multiply(image, FIRST, 3, 1.25);
    assertChannel(image, new float[] {1.25f, -2.5f, 3.75f}, Offset.offset(0f));
  }

  @Test
  void noiseIsNormal() {
    int count = 200_000;
    float[] image = new float[count];
    Intensities.addNoise(image, 0.1, new Draws(new SplittableRandom(1)));
    double[] moments = new double[5];
    double neighbors = 0;
    for (int voxel = 0; voxel < count; voxel++) {
      for (int power = 1; power <= 4; power++) {
        moments[power] += Math.pow(image[voxel] / 0.1, power) / count;
      }
      neighbors += voxel == 0 ? 0 : image[voxel] * image[voxel - 1] / 0.01 / count;
    }
    // Five standard errors: the variances of x, x^2, x^3, x^4 and xy are 1, 2, 15, 96 and 1.
    double error = 5 / Math.sqrt(count);
    assertThat(moments[1]).isCloseTo(0, Offset.offset(error));
    assertThat(moments[2]).isCloseTo(1, Offset.offset(error * Math.sqrt(2)));
    assertThat(moments[3]).isCloseTo(0, Offset.offset(error * Math.sqrt(15)));
    assertThat(moments[4]).isCloseTo(3, Offset.offset(error * Math.sqrt(96)));
    assertThat(neighbors).isCloseTo(0, Offset.offset(error));
  }

  @ParameterizedTest
  @CsvSource({
    "true, false, false, 6 7 8 9 10 11 0 1 2 3 4 5",
    "false, true, false, 3 4 5 0 1 2 9 10 11 6 7 8",
    "false, false, true, 2 1 0 5 4 3 8 7 6 11 10 9",
    "true, true, true, 11 10 9 8 7 6 5 4 3 2 1 0",
    "false, false, false, 0 1 2 3 4 5 6 7 8 9 10 11"
  })
  void axesAreReversed(boolean depth, boolean height, boolean width, String expected) {
    float[] image = new float[24];
    short[] labels = new short[12];
    for (int voxel = 0; voxel < 12; voxel++) {
      image[voxel] = voxel;
      image[12 + voxel] = 100 + voxel;
      labels[voxel] = (short) voxel;
    }
    Patch patch = new Patch(2, new Extents(2, 2, 3), image, labels);
    Mirror.apply(patch, new boolean[] {depth, height, width});
    int voxel = 0;
    for (String value : expected.split(" ", -1)) {
      short from = Short.parseShort(value);
      assertThat(labels[voxel]).isEqualTo(from);
      assertThat(image[voxel]).isEqualTo(from);
      assertThat(image[12 + voxel]).isEqualTo(100f + from);
      voxel++;
    }
  }
}
