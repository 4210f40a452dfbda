package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

class ExportTest {
  private static final Spacing MILLIMETER = new Spacing(1, 1, 1);

  @Test
  void theFirstOfEqualProbabilitiesWins() {
    Extents extents = new Extents(1, 1, 4);
    var probabilities =
        volume(
            extents,
            new float[] {0.5f, 0.2f, 0.3f, 0f},
            new float[] {0.5f, 0.4f, 0.3f, 0f},
            new float[] {0f, 0.4f, 0.4f, 1f});
    try (Workers workers = Workers.of(1)) {
      assertThat(Export.labels(probabilities, inPlace(extents), workers))
          .containsExactly(0, 1, 2, 2);
    }
  }

  @Test
  void labelsOfACropLieWhereItWasCut() {
    Extents extents = new Extents(1, 2, 2);
    var geometry =
        new CaseGeometry(
            new Extents(2, 3, 4),
            MILLIMETER,
            new Box(new Extents(1, 1, 2), extents),
            AxisOrder.IDENTITY,
            extents,
            MILLIMETER);
    var probabilities = volume(extents, new float[] {0, 0, 0, 0}, new float[] {1, 1, 1, 1});
    try (Workers workers = Workers.of(2)) {
      byte[] labels = Export.labels(probabilities, geometry, workers);
      byte[] expected = new byte[24];
      expected[18] = expected[19] = expected[22] = expected[23] = 1;
      assertThat(labels).containsExactly(expected);
    }
  }

  @ParameterizedTest(name = "axes {0} {1} {2}")
  @CsvSource({"0, 1, 2", "1, 0, 2", "2, 0, 1", "0, 2, 1", "1, 2, 0", "2, 1, 0"})
  void transposedLabelsReturnToTheirAxes(int first, int second, int third) {
    AxisOrder order = new AxisOrder(first, second, third);
    Extents original = new Extents(19, 33, 18);
    Extents seen = order.apply(original);
    float[] foreground = new float[(int) seen.voxels()];
    byte[] expected = new byte[foreground.length];
    for (int voxel = 0; voxel < foreground.length; voxel++) {
      int[] at = {
        voxel / seen.width() / seen.height(),
        voxel / seen.width() % seen.height(),
        voxel % seen.width()
      };
      int[] back = new int[3];
      for (int axis = 0; axis < 3; axis++) {
        back[order.along(axis)] = at[axis];
      }
      if ((back[0] * 7 + back[1] * 5 + back[2] * 3) % 11 < 4) {
        foreground[voxel] = 1;
        expected[(back[0] * original.height() + back[1]) * original.width() + back[2]] = 1;
      }
    }
    float[] background = new float[foreground.length];
    Arrays.fill(background, 0.5f);
    var geometry =
        new CaseGeometry(original, MILLIMETER, Box.whole(original), order, seen, MILLIMETER);
    try (Workers workers = Workers.of(2)) {
      byte[] labels = Export.labels(volume(seen, background, foreground), geometry, workers);
      assertThat(Arrays.equals(labels, expected)).isTrue();
    }
  }

  @ParameterizedTest(name = "{0} threads")
  @CsvSource({"1", "2", "5"})
  void probabilitiesAreResampledLinearlyAndTheGreatestWins(int threads) {
    Extents seen = new Extents(7, 9, 8);
    Extents original = new Extents(5, 13, 12);
    check(seen, original, AxisOrder.IDENTITY, MILLIMETER, MILLIMETER, OptionalInt.empty(), threads);
  }

  @Test
  void anisotropicImagesTakeTheNearestSlice() {
    check(
        new Extents(7, 9, 8),
        new Extents(5, 13, 12),
        AxisOrder.IDENTITY,
        new Spacing(5, 1, 1),
        MILLIMETER,
        OptionalInt.of(0),
        2);
  }

  @Test
  void anisotropicTargetsNameTheAxisInTheNetworksOrder() {
    check(
        new Extents(7, 9, 8),
        new Extents(12, 5, 13),
        new AxisOrder(1, 0, 2),
        MILLIMETER,
        new Spacing(5, 1, 1),
        OptionalInt.of(0),
        2);
  }

  private static void check(
      Extents seen,
      Extents original,
      AxisOrder order,
      Spacing originalSpacing,
      Spacing seenSpacing,
      OptionalInt separateAxis,
      int threads) {
    float[][] classes = new float[4][];
    float[][] expected = new float[4][];
    AxisOrder back = order.inverse();
    byte[] labels = new byte[(int) original.voxels()];
    try (Workers workers = Workers.of(threads)) {
      for (int label = 0; label < 4; label++) {
        classes[label] = Vectors.random(seen, 20 + label);
        float[] turned =
            Transposition.copy(
                MemorySegment.ofArray(classes[label]), seen, Box.whole(seen), back, workers);
        expected[label] =
            Resampling.resize(
                turned,
                back.apply(seen),
                original,
                Interpolation.LINEAR,
                separateAxis,
                SplineRule.PINNED,
                workers);
        for (int voxel = 0; voxel < labels.length; voxel++) {
          if (expected[label][voxel] > expected[labels[voxel]][voxel]) {
            labels[voxel] = (byte) label;
          }
        }
      }
      var geometry =
          new CaseGeometry(
              original, originalSpacing, Box.whole(original), order, seen, seenSpacing);
      List<float[]> taken = new ArrayList<>();
      byte[] result =
          Export.labels(
              volume(seen, classes),
              geometry,
              (label, values, extents) -> {
                assertThat(label).isEqualTo(taken.size());
                assertThat(extents).isEqualTo(original);
                taken.add(values);
              },
              workers);
      assertThat(result).containsExactly(labels);
      assertThat(taken).containsExactly(expected);
    }
  }

  @Test
  void probabilitiesOfOtherExtentsAreRefused() {
    Extents extents = new Extents(1, 1, 4);
    try (Workers workers = Workers.of(1)) {
      assertThatThrownBy(() ->
              Export.labels(volume(extents, new float[4]), inPlace(new Extents(1, 2, 2)), workers))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("1x1x4 voxels, expected 1 to 256 classes and 1x2x2");
      assertThatThrownBy(
              () -> Export.labels(volume(extents, new float[257][4]), inPlace(extents), workers))
          .hasMessageContaining("257 classes");
    }
    assertThatThrownBy(() -> volume(extents, new float[5]))
        .hasMessage("class 0 has 20 bytes, expected 16 for 1x1x4 floats");
  }

  @Test
  void memoryIsEstimatedByTheFormula() {
    Extents seen = new Extents(100, 200, 200);
    long voxels = seen.voxels();
    var straight = inPlace(seen);
    long scratch = Export.peakBytes(straight, 3, false, 2) - voxels;
    assertThat(scratch).isBetween(0L, 2 * 44 * 200L * 200);
    assertThat(Export.peakBytes(straight, 3, true, 2) - scratch).isEqualTo(13 * voxels);
  }

  private static CaseGeometry inPlace(Extents extents) {
    return new CaseGeometry(
        extents, MILLIMETER, Box.whole(extents), AxisOrder.IDENTITY, extents, MILLIMETER);
  }

  private static ProbabilityVolume volume(Extents extents, float[]... classes) {
    return new ProbabilityVolume(
        Arrays.stream(classes).map(MemorySegment::ofArray).toList(), extents);
  }
}
