package org.unetrpp.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;

class PreparationTest {
  private static final Architecture SYNAPSE = Architecture.published("synapse").orElseThrow();
  private static final Architecture ACDC = Architecture.published("acdc").orElseThrow();
  private static final Architecture TUMOR = Architecture.published("tumor").orElseThrow();

  @Test
  void planOfTheSideFileCounts() {
    TrainingPlan.Intensities intensities = new TrainingPlan.Intensities(1, 2, -3, 4);
    TrainingPlan plan =
        plan(List.of("CT2", "nonCT"), List.of(false, true), List.of(intensities, intensities));
    Preparation preparation = Preparation.of(SYNAPSE, "", Optional.of(plan));
    assertThat(preparation.assumption()).isEmpty();
    assertThat(preparation.plan().targetSpacing()).isEqualTo(new Spacing(3, 2, 1));
    assertThat(preparation.plan().transposeForward()).isEqualTo(new AxisOrder(2, 0, 1));
    assertThat(preparation.plan().channels())
        .containsExactly(
            new ChannelPlan(
                "a", NormalizationScheme.CT2, false, new IntensityStatistics(1, 2, -3, 4)),
            new ChannelPlan("b", NormalizationScheme.NON_CT, true, null));
  }

  @Test
  void statisticsAndSchemesThatAreMissingAreRefused() {
    TrainingPlan without = plan(List.of("CT", "CT"), List.of(false, false), List.of());
    assertThatThrownBy(() -> Preparation.of(SYNAPSE, "", Optional.of(without)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("channel a is normalized by CT without statistics");
    TrainingPlan none = plan(List.of("noNorm", "CT"), List.of(false, false), List.of());
    assertThatThrownBy(() -> Preparation.of(SYNAPSE, "", Optional.of(none)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("noNorm is not supported");
  }

  @Test
  void publishedPlanStandsInForSynapse() {
    Preparation preparation = Preparation.of(SYNAPSE, "synapse", Optional.empty());
    assertThat(preparation.plan().targetSpacing())
        .isEqualTo(new Spacing(3.0, 0.75781244, 0.75781244));
    assertThat(preparation.labels()).hasSize(14);
    assertThat(preparation.labels().get(6).name()).isEqualTo("liver");
    assertThat(preparation.assumption()).startsWith("no side file: ");
  }

  @Test
  void tumorIsNormalizedWithinTheBrain() {
    Preparation preparation = Preparation.of(TUMOR, "tumor", Optional.empty());
    assertThat(preparation.plan().channels()).hasSize(4).allMatch(ChannelPlan::useMask);
    assertThat(preparation.assumption()).contains("1 mm voxels");
  }

  @Test
  void othersKeepTheirSpacingAndSaySo() {
    Preparation preparation = Preparation.of(ACDC, "acdc", Optional.empty());
    assertThat(preparation.plan().targetSpacing()).isNull();
    assertThat(preparation.assumption()).contains("only right if training did the same");
    assertThat(preparation.labels())
        .extracting(LabelClass::name)
        .containsExactly(
            "background", "right ventricle cavity", "myocardium", "left ventricle cavity");
  }

  @Test
  void namesOfTheDataSetNeedItsNumberOfClasses() {
    Preparation preparation = Preparation.of(SYNAPSE.withClasses(3), "synapse", Optional.empty());
    assertThat(preparation.labels())
        .extracting(LabelClass::name)
        .containsExactly("background", "label 1", "label 2");
  }

  private static TrainingPlan plan(
      List<String> schemes, List<Boolean> useMask, List<TrainingPlan.Intensities> intensities) {
    return new TrainingPlan(
        Optional.empty(),
        0,
        List.of("a", "b"),
        14,
        new Spacing(3, 2, 1),
        Extents.cube(64),
        List.of(2, 0, 1),
        schemes,
        useMask,
        intensities,
        Optional.empty());
  }
}
