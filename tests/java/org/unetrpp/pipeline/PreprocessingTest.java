package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

class PreprocessingTest {
  private static final IntensityStatistics STATISTICS =
      new IntensityStatistics(0.1, 0.6, -0.8, 0.9);
  private static final ChannelPlan CT =
      new ChannelPlan("CT", NormalizationScheme.CT, false, STATISTICS);
  private static final ChannelPlan MASKED =
      new ChannelPlan("T1w", NormalizationScheme.NON_CT, true, null);

  @ParameterizedTest(name = "axes {0} {1} {2}, {3} threads")
  @CsvSource({"0, 1, 2, 1", "1, 0, 2, 2", "2, 0, 1, 5"})
  void stepsAreCropTransposeResampleNormalize(int first, int second, int third, int threads) {
    Extents extents = new Extents(9, 10, 11);
    Box box = new Box(new Extents(2, 1, 3), new Extents(6, 8, 7));
    float[] channel = outsideZero(Vectors.random(extents, 11), extents, box);
    var image = new MultiChannelImage(List.of(channel), extents, new Spacing(1, 1.5, 2));
    AxisOrder order = new AxisOrder(first, second, third);
    var plan =
        new PreprocessingPlan(List.of(CT), new Spacing(1.25, 1.1, 0.9), order, SplineRule.PINNED);
    try (Workers workers = Workers.of(threads)) {
      PreprocessedCase result = Preprocessing.run(image, plan, workers);

      Spacing spacing = order.apply(image.spacing());
      Extents from = order.apply(box.extents());
      Extents to = Resampling.newExtents(from, spacing, plan.targetFor(spacing));
      float[] expected =
          Transposition.copy(MemorySegment.ofArray(channel), extents, box, order, workers);
      expected =
          Resampling.image(expected, from, to, OptionalInt.empty(), SplineRule.PINNED, workers);
      Normalization.apply(expected, CT, null, Normalization.Precision.FLOAT, workers);
      assertThat(result.channels().getFirst()).containsExactly(expected);
      assertThat(result.extents()).isEqualTo(to);
      assertThat(result.geometry())
          .isEqualTo(
              new CaseGeometry(extents, image.spacing(), box, order, to, plan.targetFor(spacing)));
    }
  }

  @Test
  void aPlanWithoutTargetSpacingLeavesTheImageAtItsOwn() {
    PreprocessingPlan plan =
        new PreprocessingPlan(List.of(CT), null, new AxisOrder(1, 0, 2), SplineRule.PINNED);
    float[] channel = new float[24];
    Arrays.fill(channel, 7);
    MultiChannelImage image =
        new MultiChannelImage(List.of(channel), new Extents(2, 3, 4), new Spacing(3, 0.7, 0.8));
    try (Workers workers = Workers.of(1)) {
      PreprocessedCase result = Preprocessing.run(image, plan, workers);
      assertThat(result.extents()).isEqualTo(new Extents(3, 2, 4));
      assertThat(result.geometry().resampledSpacing()).isEqualTo(new Spacing(0.7, 3, 0.8));
    }
  }

  @Test
  void imagesAtTheTargetSpacingKeepTheirVoxels() {
    Extents extents = new Extents(4, 5, 6);
    float[] channel = Vectors.random(extents, 12);
    float[] before = channel.clone();
    var image = new MultiChannelImage(List.of(channel), extents, new Spacing(1, 1, 1));
    try (Workers workers = Workers.of(2)) {
      float[] result = Preprocessing.run(image, at(1, 1, 1), workers).channels().getFirst();
      for (int voxel = 0; voxel < before.length; voxel++) {
        double clipped = Math.clamp(before[voxel], -0.8, 0.9);
        assertThat(result[voxel]).isEqualTo((float) ((clipped - 0.1) / 0.6));
      }
    }
    assertThat(channel).containsExactly(before);
  }

  @Test
  void whatIsNoNumberBecomesZeroAndIsNotCropped() {
    float[] channel = new float[60];
    channel[7] = Float.NaN;
    channel[52] = 0.5f;
    Extents extents = new Extents(3, 4, 5);
    var image = new MultiChannelImage(List.of(channel), extents, new Spacing(1, 1, 1));
    try (Workers workers = Workers.of(1)) {
      PreprocessedCase result = Preprocessing.run(image, at(1, 1, 1), workers);
      assertThat(result.geometry().crop())
          .isEqualTo(new Box(new Extents(0, 1, 2), new Extents(3, 2, 1)));
      float zero = (float) ((0 - 0.1) / 0.6);
      assertThat(result.channels().getFirst())
          .containsExactly(zero, zero, zero, zero, zero, (float) ((0.5 - 0.1) / 0.6));
    }
    assertThat(channel[7]).isNaN();
  }

  @ParameterizedTest
  @ValueSource(doubles = {1, 0.5})
  void theMaskHasItsHolesFilledAndFollowsTheImage(double target) {
    // A ball of ones with a hole in a cube: the corners lie outside, the hole inside.
    int edge = 15;
    Extents extents = Extents.cube(edge);
    float[] channel = new float[edge * edge * edge];
    for (int voxel = 0; voxel < channel.length; voxel++) {
      int distance = squaredDistance(voxel, edge);
      channel[voxel] = distance <= 4 || distance > 49 ? 0 : 1 + voxel % 3;
    }
    var image = new MultiChannelImage(List.of(channel), extents, new Spacing(1, 1, 1));
    var plan =
        new PreprocessingPlan(
            List.of(MASKED),
            new Spacing(target, target, target),
            AxisOrder.IDENTITY,
            SplineRule.PINNED);
    try (Workers workers = Workers.of(2)) {
      PreprocessedCase result = Preprocessing.run(image, plan, workers);
      float[] values = result.channels().getFirst();
      int newEdge = result.extents().depth();
      int zeros = 0;
      double sum = 0;
      for (float value : values) {
        zeros += value == 0 ? 1 : 0;
        sum += value;
      }
      int center = (newEdge / 2 * newEdge + newEdge / 2) * newEdge + newEdge / 2;
      assertThat(values[0]).isZero();
      assertThat(values[center]).isLessThan(-1);
      // 1419 points of the grid lie at most 7 from its middle.
      double ball = 1419 / Math.pow(target, 3);
      assertThat(values.length - zeros).isBetween((int) (0.99 * ball), (int) (1.01 * ball));
      assertThat(sum / values.length).isBetween(-1e-6, 1e-6);
    }
  }

  private static int squaredDistance(int voxel, int edge) {
    int x = voxel % edge - edge / 2;
    int y = voxel / edge % edge - edge / 2;
    int z = voxel / edge / edge - edge / 2;
    return x * x + y * y + z * z;
  }

  @Test
  void anImageOfZerosIsPreprocessedWhole() {
    var image =
        new MultiChannelImage(List.of(new float[24]), new Extents(2, 3, 4), new Spacing(1, 1, 1));
    var plan =
        new PreprocessingPlan(
            List.of(MASKED), new Spacing(0.5, 1, 1), AxisOrder.IDENTITY, SplineRule.PINNED);
    try (Workers workers = Workers.of(1)) {
      PreprocessedCase result = Preprocessing.run(image, plan, workers);
      assertThat(result.extents()).isEqualTo(new Extents(4, 3, 4));
      assertThat(result.channels().getFirst()).hasSize(48).containsOnly(0);
    }
  }

  @Test
  void imagesOfOtherChannelsAreRefused() {
    var image =
        new MultiChannelImage(
            List.of(new float[8], new float[8]), Extents.cube(2), new Spacing(1, 1, 1));
    try (Workers workers = Workers.of(1)) {
      assertThatThrownBy(() -> Preprocessing.run(image, at(1, 1, 1), workers))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("image of 2 channels, expected 1 as in the plan: [CT]");
    }
  }

  @Test
  void plansWithoutChannelsOrSpacingAreRefused() {
    assertThatThrownBy(() ->
            new PreprocessingPlan(
                List.of(), new Spacing(1, 1, 1), AxisOrder.IDENTITY, SplineRule.PINNED))
        .hasMessageContaining("without channels");
    assertThatThrownBy(() -> at(1, Double.NaN, 1)).hasMessageContaining("target spacing");
    assertThatThrownBy(() -> new AxisOrder(0, 1, 1))
        .hasMessage("axis order 0, 1, 1, expected a permutation of 0, 1, 2");
    assertThatThrownBy(() -> new AxisOrder(-1, 2, 2)).hasMessageContaining("permutation");
  }

  @Test
  void anOrderAndItsInverseCancel() {
    AxisOrder order = new AxisOrder(2, 0, 1);
    Extents extents = new Extents(3, 4, 5);
    assertThat(order.apply(extents)).isEqualTo(new Extents(5, 3, 4));
    assertThat(order.inverse().apply(order.apply(extents))).isEqualTo(extents);
    assertThat(order.apply(new Spacing(3, 4, 5))).isEqualTo(new Spacing(5, 3, 4));
  }

  @Test
  void memoryIsEstimatedFromTheParts() {
    Extents extents = new Extents(100, 512, 512);
    long voxels = extents.voxels();
    long plain = Preprocessing.peakBytes(extents, new Spacing(1, 1, 1), at(1, 1, 1), 2);
    assertThat(plain).isBetween(4 * voxels, 5 * voxels);
    long spline = Preprocessing.peakBytes(extents, new Spacing(2, 1, 2), at(1, 1, 1), 2);
    assertThat(spline).isBetween((16 + 10) * voxels, (16 + 12) * voxels);
  }

  @ParameterizedTest(name = "spacing {0} {1} {2}, axes {3} {4} {5}")
  @CsvSource({
    "1, 1, 1, 0, 1, 2",
    "1.3, 0.9, 1.1, 0, 1, 2",
    "4, 1, 1, 0, 1, 2",
    "1, 4, 1, 1, 0, 2",
    "0.8, 1.2, 1.6, 2, 0, 1"
  })
  void aThresholdComesBackOnTheGridOfTheImage(
      double depth, double height, double width, int first, int second, int third) {
    Extents extents = new Extents(20, 24, 22);
    Box body = new Box(new Extents(2, 3, 1), new Extents(16, 18, 19));
    float[] channel = new float[(int) extents.voxels()];
    byte[] expected = new byte[channel.length];
    for (int voxel = 0; voxel < channel.length; voxel++) {
      int x = voxel % 22;
      int y = voxel / 22 % 24;
      int z = voxel / 22 / 24;
      channel[voxel] = (float) (0.8 * Math.sin(0.3 * z + 0.2 * y) * Math.cos(0.25 * x) + 0.01);
    }
    outsideZero(channel, extents, body);
    for (int voxel = 0; voxel < channel.length; voxel++) {
      expected[voxel] = (byte) (channel[voxel] > 0.1 ? 1 : 0);
    }
    var image = new MultiChannelImage(List.of(channel), extents, new Spacing(depth, height, width));
    var plan =
        new PreprocessingPlan(
            List.of(CT),
            new Spacing(1, 1, 1),
            new AxisOrder(first, second, third),
            SplineRule.PINNED);
    try (Workers workers = Workers.of(2);
        Arena arena = Arena.ofShared()) {
      PreprocessedCase preprocessed = Preprocessing.run(image, plan, workers);
      ProbabilityVolume probabilities =
          SlidingWindow.run(
              preprocessed.channels(),
              preprocessed.extents(),
              new VoxelwisePredictor(
                  new Extents(8, 16, 16), value -> (float) (1 / (1 + Math.exp(-value)))),
              SlidingWindow.Settings.PUBLISHED,
              arena,
              workers);
      byte[] labels = Export.labels(probabilities, preprocessed.geometry(), workers);
      int different = 0;
      for (int voxel = 0; voxel < labels.length; voxel++) {
        different += labels[voxel] == expected[voxel] ? 0 : 1;
      }
      // Interpolation moves the border of the foreground by a fraction of a voxel.
      assertThat(different).isLessThan(labels.length / 50);
      assertThat(Arrays.hashCode(labels)).isNotEqualTo(Arrays.hashCode(new byte[labels.length]));
    }
  }

  private static PreprocessingPlan at(double depth, double height, double width) {
    return new PreprocessingPlan(
        List.of(CT), new Spacing(depth, height, width), AxisOrder.IDENTITY, SplineRule.PINNED);
  }

  private static float[] outsideZero(float[] channel, Extents extents, Box box) {
    for (int voxel = 0; voxel < channel.length; voxel++) {
      int[] at = {
        voxel / extents.width() / extents.height(),
        voxel / extents.width() % extents.height(),
        voxel % extents.width()
      };
      for (int axis = 0; axis < 3; axis++) {
        if (at[axis] < box.origin().along(axis) || at[axis] >= box.end(axis)) {
          channel[voxel] = 0;
        }
      }
    }
    return channel;
  }
}
