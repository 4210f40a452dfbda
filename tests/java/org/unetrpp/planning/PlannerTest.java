package org.unetrpp.planning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.unetrpp.planning.PublishedPlannerTest.cardiac;
import static org.unetrpp.planning.PublishedPlannerTest.fingerprint;
import static org.unetrpp.planning.PublishedPlannerTest.glioma;
import static org.unetrpp.planning.PublishedPlannerTest.synapse;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.dataset.DatasetLabel;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;

class PlannerTest {
  private static final long PLENTY = 1L << 40;

  static TrainingPlan plan(Fingerprint fingerprint, PlanOptions options) {
    List<DatasetLabel> labels =
        List.of(
            new DatasetLabel(0, "background"),
            new DatasetLabel(3, "liver"),
            new DatasetLabel(7, "spleen"));
    List<String> ids =
        IntStream.range(0, fingerprint.sizes().size()).mapToObj("case%03d"::formatted).toList();
    return Planner.plan("made", "data", fingerprint, labels, ids, options);
  }

  private static TrainingPlan plan(Fingerprint fingerprint) {
    return plan(fingerprint, PlanOptions.within(PLENTY));
  }

  static Fingerprint hippocampus() {
    return fingerprint(
        List.of("MRI"), new Extents(35, 50, 36), 1, Collections.nCopies(200, new Spacing(1, 1, 1)));
  }

  private static Fingerprint channels(int count) {
    return fingerprint(
        Collections.nCopies(count, "MRI"),
        new Extents(60, 60, 60),
        1,
        Collections.nCopies(20, new Spacing(1, 1, 1)));
  }

  @Test
  void smallVolumesGetASmallNetwork() {
    TrainingPlan plan = plan(hippocampus());
    Architecture network = plan.architecture();
    assertThat(network.patch()).isEqualTo(new Extents(40, 56, 40));
    assertThat(network.stem()).isEqualTo(Extents.cube(2));
    assertThat(network.downsampling())
        .containsExactly(Extents.cube(2), Extents.cube(2), Extents.cube(1));
    assertThat(network.widths()).containsExactly(32, 64, 128, 128);
    assertThat(network.encoderDepths()).containsExactly(2, 2, 2, 2);
    assertThat(network.decoderDepth()).isEqualTo(2);
    assertThat(plan.schedule()).isEqualTo(new Schedule(200, 250, 50, 7, 0.33, 12345));
    assertThat(plan.batchDice()).isFalse();
    assertThat(plan.augmentation().sliceWise()).isFalse();
    assertThat(plan.folds()).hasSize(5);
  }

  @Test
  void abdominalCtGetsTheStridesOfThePublishedNetwork() {
    TrainingPlan plan = plan(withStatistics(synapse()));
    Architecture published = Architecture.published("synapse").orElseThrow();
    Architecture network = plan.architecture();
    assertThat(network.patch()).isEqualTo(new Extents(48, 192, 192));
    assertThat(network.stem()).isEqualTo(published.stem());
    assertThat(network.downsampling().subList(0, 2))
        .isEqualTo(published.downsampling().subList(0, 2));
    assertThat(network.widths()).isEqualTo(published.widths());
    assertThat(network.encoderDepths()).isEqualTo(published.encoderDepths());
    assertThat(network.projections()).isEqualTo(published.projections());
    assertThat(plan.batchDice()).isTrue();
    assertThat(plan.augmentation().sliceWise()).isTrue();
    assertThat(plan.schedule().epochs()).isEqualTo(1000);
  }

  @Test
  void gliomaGetsThePublishedPatchAndStrides() {
    Architecture network = plan(glioma()).architecture();
    Architecture published = Architecture.published("tumor").orElseThrow();
    assertThat(network.patch()).isEqualTo(published.patch());
    assertThat(network.stem()).isEqualTo(published.stem());
    assertThat(network.downsampling()).isEqualTo(published.downsampling());
  }

  @Test
  void thickSlicesAreKeptApartInTheStem() {
    Architecture network = plan(cardiac()).architecture();
    assertThat(network.stem()).isEqualTo(new Extents(1, 4, 4));
    assertThat(network.downsampling())
        .containsExactly(Extents.cube(2), Extents.cube(2), new Extents(1, 2, 2));
    assertThat(network.patch()).isEqualTo(new Extents(20, 256, 224));
  }

  @Test
  void flatAndTinyVolumesGetANetworkToo() {
    Fingerprint flat =
        fingerprint(
            List.of("MRI"), new Extents(1, 70, 9), 1, Collections.nCopies(5, new Spacing(9, 1, 1)));
    Architecture network = plan(flat).architecture();
    assertThat(network.patch().depth()).isEqualTo(1);
    assertThat(network.projections())
        .allMatch(projection -> projection <= 64)
        .satisfies(projections ->
            IntStream.range(0, 4)
                .forEach(stage ->
                    assertThat(projections.get(stage))
                        .isLessThanOrEqualTo(network.stageTokens(stage))));
    Fingerprint tiny =
        fingerprint(
            List.of("MRI"), new Extents(3, 4, 2), 1, Collections.nCopies(5, new Spacing(1, 1, 1)));
    assertThat(plan(tiny).architecture().patch()).isEqualTo(new Extents(3, 4, 2));
    assertThat(plan(tiny).architecture().projections()).containsExactly(24, 24, 24, 24);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 11})
  void everyNumberOfChannelsGetsANetwork(int count) {
    Architecture network = plan(channels(count)).architecture();
    assertThat(network.inputChannels()).isEqualTo(count);
    assertThat(network.widths().getFirst() % count).isZero();
    assertThat(network.widths().getFirst()).isBetween(32, 56);
  }

  @ParameterizedTest
  @CsvSource({"64", "16", "8", "4", "3"})
  void networkFitsTheMemory(int gibibytes) {
    TrainingPlan plan = plan(withStatistics(synapse()), PlanOptions.within((long) gibibytes << 30));
    Architecture network = plan.architecture();
    assertThat(TrainingMemory.estimateBytes(network, plan.schedule().batchSize()))
        .isLessThanOrEqualTo((long) gibibytes << 30);
    assertThat(plan.schedule().batchSize()).isEqualTo(2);
  }

  @Test
  void lessMemoryMeansFewerPatchesFirst() {
    long needed = TrainingMemory.estimateBytes(plan(hippocampus()).architecture(), 4);
    TrainingPlan plan = plan(hippocampus(), PlanOptions.within(needed));
    assertThat(plan.schedule().batchSize()).isEqualTo(4);
    assertThat(plan.architecture().patch()).isEqualTo(new Extents(40, 56, 40));
  }

  @Test
  void tooLittleMemoryIsAnError() {
    assertThatThrownBy(() -> plan(hippocampus(), PlanOptions.within(1 << 20)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching(
            "a training step with 1 patches of .* takes about \\d+ MiB, more than the 1 MiB allowed");
  }

  @Test
  void optionsAreKept() {
    PlanOptions options =
        new PlanOptions(
            PLENTY,
            new Extents(32, 64, 32),
            OptionalInt.of(3),
            OptionalInt.of(12),
            OptionalInt.of(34));
    TrainingPlan plan = plan(hippocampus(), options);
    assertThat(plan.architecture().patch()).isEqualTo(new Extents(32, 64, 32));
    assertThat(plan.schedule()).isEqualTo(new Schedule(12, 34, 6, 3, 0.33, 12345));
  }

  @Test
  void patchThatTheStridesDoNotDivideIsRefused() {
    PlanOptions options =
        new PlanOptions(
            PLENTY,
            new Extents(30, 64, 32),
            OptionalInt.empty(),
            OptionalInt.empty(),
            OptionalInt.empty());
    assertThatThrownBy(() -> plan(hippocampus(), options))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("patch 30x64x32, expected a multiple of 8x16x8 such as 32x64x32");
  }

  private static Fingerprint withStatistics(Fingerprint plain) {
    return new Fingerprint(
        plain.channels(),
        plain.sizes(),
        plain.spacings(),
        plain.sizeReductions(),
        List.of(Optional.of(new IntensityStatistics(83, 137, -958, 326))));
  }

  @Test
  void ctIsNormalizedByTheTrainingSetAndOthersCaseByCase() {
    ChannelPlan ct = plan(withStatistics(synapse())).preprocessing().channels().getFirst();
    assertThat(ct)
        .isEqualTo(
            new ChannelPlan(
                "CT", NormalizationScheme.CT, false, new IntensityStatistics(83, 137, -958, 326)));
    assertThat(plan(glioma()).preprocessing().channels().getFirst())
        .isEqualTo(new ChannelPlan("FLAIR", NormalizationScheme.NON_CT, true, null));
    assertThat(plan(hippocampus()).preprocessing().channels().getFirst())
        .isEqualTo(new ChannelPlan("MRI", NormalizationScheme.NON_CT, false, null));
  }

  @Test
  void labelsKeepTheirValuesInFiles() {
    TrainingPlan plan = plan(hippocampus());
    assertThat(plan.labels()).extracting(LabelClass::value).containsExactly(0, 3, 7);
    assertThat(plan.labels()).extracting(LabelClass::name).contains("liver", "spleen");
    assertThat(plan.labelValues()).containsExactly(0, 3, 7);
    assertThat(plan.architecture().classes()).isEqualTo(3);
  }

  private static ImportedPlan imported(Extents patch, Extents... pooling) {
    ChannelPlan channel = new ChannelPlan("MRI", NormalizationScheme.NON_CT, false, null);
    PreprocessingPlan preprocessing =
        new PreprocessingPlan(
            List.of(channel), new Spacing(3, 1, 1), AxisOrder.IDENTITY, SplineRule.PINNED);
    return new ImportedPlan(preprocessing, List.of(0, 1), patch, 3, List.of(pooling), true, true);
  }

  private static TrainingPlan planned(ImportedPlan imported, int labels) {
    return Planner.imported(
        "made",
        "data",
        imported,
        IntStream.range(0, labels).mapToObj(i -> new DatasetLabel(i, "label " + i)).toList(),
        List.of(new Fold(List.of("a"), List.of("b"))),
        PlanOptions.within(PLENTY));
  }

  @Test
  void importedPlanGivesPatchBatchAndStrides() {
    ImportedPlan imported =
        imported(
            new Extents(48, 192, 192),
            new Extents(1, 2, 2),
            Extents.cube(2),
            Extents.cube(2),
            Extents.cube(2),
            new Extents(1, 2, 2));
    TrainingPlan plan = planned(imported, 2);
    assertThat(plan.architecture().patch()).isEqualTo(new Extents(48, 192, 192));
    assertThat(plan.architecture().stem()).isEqualTo(new Extents(2, 4, 4));
    assertThat(plan.architecture().downsampling())
        .containsExactly(Extents.cube(2), Extents.cube(2), new Extents(1, 2, 2));
    assertThat(plan.preprocessing()).isEqualTo(imported.preprocessing());
    assertThat(plan.augmentation().sliceWise()).isTrue();
    assertThat(plan.batchDice()).isTrue();
    assertThat(plan.schedule()).isEqualTo(new Schedule(1000, 250, 50, 3, 0.33, 12345));
    assertThat(plan.folds()).containsExactly(new Fold(List.of("a"), List.of("b")));
  }

  @Test
  void levelsThatAnImportedPlanLacksHalveNothing() {
    TrainingPlan plan = planned(imported(new Extents(16, 32, 32), Extents.cube(2)), 2);
    assertThat(plan.architecture().stem()).isEqualTo(Extents.cube(2));
    assertThat(plan.architecture().downsampling())
        .containsExactly(Extents.cube(1), Extents.cube(1), Extents.cube(1));
  }

  /** The published plan's list of pooling is not what its network does. */
  @Test
  void importedPlanForAPublishedNetworkGetsThatNetwork() {
    TrainingPlan plan =
        planned(imported(new Extents(64, 128, 128), Extents.cube(2), Extents.cube(2)), 14);
    assertThat(plan.architecture()).isEqualTo(Architecture.published("synapse").orElseThrow());
  }

  @Test
  void importedPatchMustBeAMultipleOfItsStrides() {
    assertThatThrownBy(() -> planned(imported(new Extents(17, 32, 32), Extents.cube(2)), 2))
        .hasMessage("patch 17x32x32, expected a multiple of 2x2x2 such as 18x32x32");
  }
}
