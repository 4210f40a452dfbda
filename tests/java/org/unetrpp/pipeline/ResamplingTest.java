package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonObject;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

class ResamplingTest {
  /** Half a unit in the last place of a float below 4, and the rounding of the vectors' text. */
  private static final Offset<Float> ROUNDING = Offset.offset(3e-7f);

  static List<JsonObject> volumes() {
    return Vectors.cases("resampling.json");
  }

  static List<JsonObject> labels() {
    return Vectors.cases("labels.json");
  }

  @ParameterizedTest
  @MethodSource("volumes")
  void volumesMatchScipyAndTheFormula(JsonObject vector) {
    Interpolation interpolation =
        switch (vector.get("order").getAsInt()) {
          case 0 -> Interpolation.NEAREST;
          case 1 -> Interpolation.LINEAR;
          default -> Interpolation.CUBIC;
        };
    float[] expected = Vectors.floats(vector, "output");
    try (Workers workers = Workers.of(2)) {
      float[] result =
          Resampling.resize(
              Vectors.floats(vector, "input"),
              Vectors.extents(vector, "from"),
              Vectors.extents(vector, "to"),
              interpolation,
              Vectors.separateAxis(vector),
              SplineRule.valueOf(vector.get("rule").getAsString()),
              workers);
      assertThat(result).containsExactly(expected, ROUNDING);
    }
  }

  @ParameterizedTest
  @MethodSource("labels")
  void labelsMatchScipy(JsonObject vector) {
    try (Workers workers = Workers.of(2)) {
      short[] result =
          Resampling.labels(
              Vectors.shorts(vector, "input"),
              Vectors.extents(vector, "from"),
              Vectors.extents(vector, "to"),
              Vectors.separateAxis(vector),
              workers);
      assertThat(result).containsExactly(Vectors.shorts(vector, "output"));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "148, 3, 3, 148",
    "10, 1.5, 2, 8", // 7.5 to the even 8
    "5, 1, 2, 2", // 2.5 to the even 2
    "7, 1, 2, 4", // 3.5 to the even 4
    "1, 1, 3, 1", // never less than one slice
    "89, 5, 3, 148"
  })
  void extentsAreRoundedHalfToEven(int extent, double original, double target, int expected) {
    Extents extents =
        Resampling.newExtents(
            new Extents(extent, 4, 4), new Spacing(original, 1, 1), new Spacing(target, 1, 1));
    assertThat(extents).isEqualTo(new Extents(expected, 4, 4));
  }

  @Test
  void extentsPastAnIntAreRefused() {
    assertThatThrownBy(() ->
            Resampling.newExtents(Extents.cube(512), new Spacing(1, 1, 1), new Spacing(1e-9, 1, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("below 2^31");
  }

  @ParameterizedTest
  @CsvSource({
    // original, target, expected axis or -1
    "5 0.8 0.8, 3 0.75 0.75, 0",
    "0.8 5 0.8, 3 0.75 0.75, 1",
    "3 1 1, 3.1 1 1, 0", // exactly 3 is not anisotropic; the target decides
    "3 1 1, 3 1 1, -1",
    "1 1 1, 1 1 4, 2",
    "0.24 1.25 1.25, 5 1 1, -1", // the largest occurs twice; the target is not asked
    "1 1 1, 1 1 1, -1"
  })
  void separateAxisIsThatOfTheLargestSpacing(String original, String target, int expected) {
    OptionalInt axis = expected < 0 ? OptionalInt.empty() : OptionalInt.of(expected);
    assertThat(Resampling.separateAxis(spacing(original), spacing(target))).isEqualTo(axis);
  }

  private static Spacing spacing(String text) {
    return Spacing.of(Arrays.stream(text.split(" ")).mapToDouble(Double::parseDouble).toArray());
  }

  @Test
  void equalExtentsReturnTheInputItself() {
    Extents extents = new Extents(3, 4, 5);
    float[] volume = Vectors.random(extents, 1);
    short[] labels = new short[60];
    try (Workers workers = Workers.of(1)) {
      assertThat(cubic(volume, extents, extents, OptionalInt.of(0), SplineRule.PINNED, workers))
          .isSameAs(volume);
      assertThat(Resampling.labels(labels, extents, extents, OptionalInt.empty(), workers))
          .isSameAs(labels);
    }
  }

  @ParameterizedTest
  @EnumSource
  void resultStaysInTheRangeOfTheInput(SplineRule rule) {
    Extents from = new Extents(6, 7, 8);
    float[] volume = Vectors.random(from, 2);
    for (int index = 0; index < volume.length; index++) {
      volume[index] = volume[index] > 0 ? 1 : 0; // edges that a cubic overshoots
    }
    try (Workers workers = Workers.of(2)) {
      float[] result =
          cubic(volume, from, new Extents(9, 10, 11), OptionalInt.empty(), rule, workers);
      for (float value : result) {
        assertThat(value).isBetween(0f, 1f);
      }
    }
  }

  /** On white noise of unit variance the two cubics differ by up to 0.4 in a slice. */
  @ParameterizedTest(name = "{0} to {1}, separate axis {2}")
  @CsvSource({
    "20x40x40, 20x52x48, 0, true",
    "20x40x40, 30x52x40, -1, true", // the last axis keeps its length
    "20x40x40, 30x52x48, -1, false"
  })
  void theRulesDifferInSlicesOnly(String size, String newSize, int separateAxis, boolean differ) {
    Extents from = extents(size);
    Extents to = extents(newSize);
    OptionalInt axis = separateAxis < 0 ? OptionalInt.empty() : OptionalInt.of(separateAxis);
    Random random = new Random(1);
    float[] noise = new float[(int) from.voxels()];
    for (int voxel = 0; voxel < noise.length; voxel++) {
      noise[voxel] = (float) random.nextGaussian();
    }
    try (Workers workers = Workers.of(2)) {
      float[] pinned = cubic(noise, from, to, axis, SplineRule.PINNED, workers);
      float[] spline = cubic(noise, from, to, axis, SplineRule.BSPLINE, workers);
      float largest = 0;
      for (int voxel = 0; voxel < pinned.length; voxel++) {
        largest = Math.max(largest, Math.abs(pinned[voxel] - spline[voxel]));
      }
      if (differ) {
        assertThat(largest).isBetween(0.2f, 0.8f);
      } else {
        assertThat(largest).isZero();
      }
    }
  }

  private static Extents extents(String text) {
    return Extents.of(Arrays.stream(text.split("x", -1)).mapToInt(Integer::parseInt).toArray());
  }

  @Test
  void slicesAreClippedToTheirOwnRange() {
    Extents from = new Extents(2, 1, 6);
    float[] volume = {0, 0, 1, 1, 0, 0, 10, 10, 20, 20, 10, 10};
    try (Workers workers = Workers.of(1)) {
      float[] result =
          cubic(volume, from, new Extents(2, 1, 24), OptionalInt.of(0), SplineRule.PINNED, workers);
      for (int column = 0; column < 24; column++) {
        assertThat(result[column]).isBetween(0f, 1f);
        assertThat(result[24 + column]).isBetween(10f, 20f);
      }
    }
  }

  @Test
  void acrossSlicesTheNearestIsTaken() {
    Extents from = new Extents(3, 2, 2);
    float[] volume = {1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    try (Workers workers = Workers.of(1)) {
      float[] result =
          cubic(volume, from, new Extents(5, 2, 2), OptionalInt.of(0), SplineRule.PINNED, workers);
      // u = 0.6 (i + 0.5) - 0.5 = -0.2, 0.4, 1, 1.6, 2.2
      for (int slice = 0; slice < 5; slice++) {
        assertThat(result[4 * slice]).isEqualTo(new float[] {1, 1, 2, 3, 3}[slice]);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void anyNumberOfThreadsGivesTheSameBytes(SplineRule rule) {
    Extents from = new Extents(13, 70, 67);
    Extents to = new Extents(17, 131, 59);
    float[] volume = Vectors.random(from, 3);
    short[] labels = new short[volume.length];
    for (int index = 0; index < labels.length; index++) {
      labels[index] = (short) Math.round(2 * volume[index]);
    }
    float[] one = new float[0];
    short[] oneOfLabels = new short[0];
    for (int threads : new int[] {1, 2, 5}) {
      try (Workers workers = Workers.of(threads)) {
        float[] result = cubic(volume, from, to, OptionalInt.empty(), rule, workers);
        short[] labelsResult = Resampling.labels(labels, from, to, OptionalInt.of(1), workers);
        if (threads == 1) {
          one = result;
          oneOfLabels = labelsResult;
        }
        assertThat(Arrays.equals(result, one)).isTrue();
        assertThat(Arrays.equals(labelsResult, oneOfLabels)).isTrue();
      }
    }
  }

  @Test
  void labelsSurviveTheWayToAFinerGridAndBack() {
    Extents from = new Extents(6, 8, 8);
    Extents finer = new Extents(18, 24, 24);
    short[] labels = new short[384];
    for (int voxel = 0; voxel < labels.length; voxel++) {
      labels[voxel] = (short) (voxel % 8 < 4 ? voxel / 128 : -1);
    }
    try (Workers workers = Workers.of(2)) {
      short[] there = Resampling.labels(labels, from, finer, OptionalInt.empty(), workers);
      short[] back = Resampling.labels(there, finer, from, OptionalInt.empty(), workers);
      assertThat(back).containsExactly(labels);
    }
  }

  @Test
  void volumeOfAnotherLengthIsRefused() {
    try (Workers workers = Workers.of(1)) {
      assertThatThrownBy(() ->
              cubic(
                  new float[7],
                  Extents.cube(2),
                  Extents.cube(3),
                  OptionalInt.empty(),
                  SplineRule.PINNED,
                  workers))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("7 voxels, expected 8 for 2x2x2");
    }
  }

  private static float[] cubic(
      float[] volume,
      Extents from,
      Extents to,
      OptionalInt separateAxis,
      SplineRule rule,
      Workers workers) {
    return Resampling.image(volume, from, to, separateAxis, rule, workers);
  }
}
