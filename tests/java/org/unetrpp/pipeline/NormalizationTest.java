package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonObject;
import java.util.Arrays;
import org.assertj.core.data.Offset;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.pipeline.Normalization.Precision;

class NormalizationTest {
  /** One unit in the last place of values below 4, for sums in another order. */
  private static final Offset<Float> ROUNDING = Offset.offset(5e-7f);

  private static final JsonObject VECTOR = Vectors.object("normalization.json");
  private static final IntensityStatistics STATISTICS =
      new IntensityStatistics(
          VECTOR.get("mean").getAsDouble(),
          VECTOR.get("sd").getAsDouble(),
          VECTOR.get("low").getAsDouble(),
          VECTOR.get("high").getAsDouble());
  private static final VoxelMask MASK =
      Vectors.mask(new Extents(1, 1, 40), VECTOR.get("mask").getAsString());

  @Test
  void computedTomographyUsesTheTrainingSetsStatistics() {
    assertThat(normalized(NormalizationScheme.CT, null, Precision.FLOAT))
        .containsExactly(Vectors.floats(VECTOR, "ctFloat"));
    assertThat(normalized(NormalizationScheme.CT, null, Precision.DOUBLE))
        .containsExactly(Vectors.floats(VECTOR, "ctDouble"));
  }

  /** The published statistics of the abdominal data set. */
  @Test
  void abdominalCtIsClippedToItsPercentiles() {
    var statistics = new IntensityStatistics(82.95177, 136.94818, -958, 326);
    var plan = new ChannelPlan("CT", NormalizationScheme.CT, false, statistics);
    float[] voxels = {-1024, -958, 82.95177f, 96, 326, 2914};
    try (Workers workers = Workers.of(1)) {
      Normalization.apply(voxels, plan, null, Precision.FLOAT, workers);
    }
    // (-958 - 82.95177) / 136.94818 and so on
    assertThat(voxels)
        .containsExactly(
            new float[] {-7.601063f, -7.601063f, 0, 0.0952786f, 1.774746f, 1.774746f},
            Offset.offset(1e-6f));
  }

  @Test
  void outsideOfTheMaskIsZero() {
    assertThat(normalized(NormalizationScheme.CT, MASK, Precision.DOUBLE))
        .containsExactly(Vectors.floats(VECTOR, "ctMasked"));
  }

  @Test
  void secondSchemeUsesTheVoxelsInsideTheBounds() {
    assertThat(normalized(NormalizationScheme.CT2, null, Precision.DOUBLE))
        .containsExactly(Vectors.floats(VECTOR, "ct2Double"), ROUNDING);
  }

  @Test
  void otherModalitiesUseTheirOwnMeanAndDeviation() {
    assertThat(normalized(NormalizationScheme.NON_CT, null, Precision.DOUBLE))
        .containsExactly(Vectors.floats(VECTOR, "other"), ROUNDING);
    assertThat(normalized(NormalizationScheme.NON_CT, MASK, Precision.DOUBLE))
        .containsExactly(Vectors.floats(VECTOR, "otherMasked"), ROUNDING);
    assertThat(normalized(NormalizationScheme.NON_CT, MASK, Precision.FLOAT))
        .containsExactly(Vectors.floats(VECTOR, "otherMasked"), Offset.offset(2e-6f));
  }

  @Test
  void aConstantChannelBecomesZero() {
    float[] voxels = {7, 7, 7};
    apply(voxels, NormalizationScheme.NON_CT, null, Precision.FLOAT, 1);
    assertThat(voxels).containsOnly(0);
  }

  @Test
  void anEmptyMaskLeavesOnlyZeros() {
    float[] voxels = {1, 2, 3};
    VoxelMask empty = Vectors.mask(new Extents(1, 1, 3), "000");
    apply(voxels, NormalizationScheme.NON_CT, empty, Precision.FLOAT, 1);
    assertThat(voxels).containsOnly(0);
  }

  @Test
  void secondSchemeRefusesAChannelWithoutSpreadInsideTheBounds() {
    float[] voxels = {-2000, 2000, 5, 5};
    assertThatThrownBy(() -> apply(voxels, NormalizationScheme.CT2, null, Precision.FLOAT, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("channel MR has no two different values between -400.5 and 380.25");
  }

  @Test
  void planWithMaskNeedsOne() {
    var plan = new ChannelPlan("MR", NormalizationScheme.NON_CT, true, null);
    try (Workers workers = Workers.of(1)) {
      assertThatThrownBy(
              () -> Normalization.apply(new float[4], plan, null, Precision.FLOAT, workers))
          .hasMessageContaining("expected one of its 4 voxels");
    }
  }

  @Test
  void schemesOfComputedTomographyNeedStatistics() {
    assertThatThrownBy(() -> new ChannelPlan("CT", NormalizationScheme.CT, false, null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("channel CT is normalized by CT without statistics");
    assertThatThrownBy(() -> new IntensityStatistics(0, 0, 0, 1))
        .hasMessageContaining("sd above 0");
    assertThatThrownBy(() -> new IntensityStatistics(0, 1, 2, 1)).hasMessageContaining("in order");
    assertThatThrownBy(() -> new IntensityStatistics(Double.NaN, 1, 0, 1))
        .hasMessageContaining("finite");
  }

  @Test
  void anyNumberOfThreadsGivesTheSameBytes() {
    float[] voxels = Vectors.random(new Extents(5, 211, 199), 4);
    float[] one = voxels.clone();
    apply(one, NormalizationScheme.NON_CT, null, Precision.FLOAT, 1);
    for (int threads : new int[] {2, 5}) {
      float[] several = voxels.clone();
      apply(several, NormalizationScheme.NON_CT, null, Precision.FLOAT, threads);
      assertThat(Arrays.equals(several, one)).isTrue();
    }
  }

  private static float[] normalized(
      NormalizationScheme scheme, @Nullable VoxelMask mask, Precision precision) {
    float[] voxels = Vectors.floats(VECTOR, "input");
    apply(voxels, scheme, mask, precision, 1);
    return voxels;
  }

  private static void apply(
      float[] voxels,
      NormalizationScheme scheme,
      @Nullable VoxelMask mask,
      Precision precision,
      int threads) {
    var plan = new ChannelPlan("MR", scheme, mask != null, STATISTICS);
    try (Workers workers = Workers.of(threads)) {
      Normalization.apply(voxels, plan, mask, precision, workers);
    }
  }
}
