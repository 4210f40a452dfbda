package org.unetrpp.recipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.metrics.Convention;
import org.unetrpp.metrics.Metric;
import org.unetrpp.metrics.Structure;
import org.unetrpp.model.Architecture;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.Optimization;
import org.unetrpp.planning.PlanOptions;
import org.unetrpp.planning.Schedule;
import org.unetrpp.planning.TrainingPlan;

class PublishedRecipeTest {
  private static final PlanOptions AS_PUBLISHED = PlanOptions.within(Long.MAX_VALUE);

  static Stream<String> names() {
    return PublishedRecipe.names().stream();
  }

  private static PublishedRecipe named(String name) {
    return PublishedRecipe.named(name).orElseThrow();
  }

  private static PreprocessingPlan planned(int channels) {
    ChannelPlan channel =
        new ChannelPlan("x", NormalizationScheme.CT, false, new IntensityStatistics(1, 2, -3, 4));
    return new PreprocessingPlan(
        Collections.nCopies(channels, channel),
        new Spacing(5, 1.5, 1.25),
        new AxisOrder(2, 0, 1),
        SplineRule.PINNED);
  }

  @Test
  void thereIsARecipeForEveryPublishedNetwork() {
    assertThat(PublishedRecipe.names())
        .containsExactlyInAnyOrderElementsOf(Architecture.publishedNames());
    assertThat(PublishedRecipe.named("liver")).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("names")
  void planIsThatOfThePublishedNetwork(String name) {
    PublishedRecipe recipe = named(name);
    List<Fold> folds = List.of(new Fold(List.of("a"), List.of("b")));
    PreprocessingPlan preprocessing = recipe.preprocessing(planned(recipe.channels().size()));
    TrainingPlan plan = recipe.plan("data", preprocessing, folds, AS_PUBLISHED, false);
    assertThat(plan.architecture()).isEqualTo(Architecture.published(name).orElseThrow());
    assertThat(plan.optimization()).isEqualTo(Optimization.PUBLISHED);
    assertThat(plan.labels()).isEqualTo(recipe.labels());
    assertThat(plan.name()).isEqualTo(name);
    assertThat(plan.folds()).isEqualTo(folds);
    assertThat(recipe.segmentation())
        .isEqualTo(new PublishedRecipe.Segmentation(0.5, true, List.of()));
  }

  @ParameterizedTest
  @CsvSource({
    "synapse, 2, true,  true,  false",
    "btcv,    2, true,  false, false",
    "acdc,    4, false, true,  true",
    "lung,    2, true,  false, true",
    "tumor,   2, false, false, false"
  })
  void trainingIsThePublishedOneAndAugmentationCanBeCorrected(
      String name, int batch, boolean batchDice, boolean sliceWise, boolean corrected) {
    PublishedRecipe recipe = named(name);
    List<Fold> folds = List.of(new Fold(List.of("a"), List.of("b")));
    PreprocessingPlan preprocessing = recipe.preprocessing(planned(recipe.channels().size()));
    TrainingPlan plan = recipe.plan("data", preprocessing, folds, AS_PUBLISHED, false);
    assertThat(plan.schedule()).isEqualTo(new Schedule(1000, 250, 50, batch, 0.33, 12345));
    assertThat(plan.batchDice()).isEqualTo(batchDice);
    assertThat(plan.augmentation().sliceWise()).isEqualTo(sliceWise);
    assertThat(plan.augmentation().maxRotationDegrees()).isEqualTo(sliceWise ? 180 : 30);
    TrainingPlan better = recipe.plan("data", preprocessing, folds, AS_PUBLISHED, true);
    assertThat(better.augmentation().sliceWise()).isEqualTo(corrected);
    Extents patch = recipe.patch();
    assertThat(corrected)
        .as("more than three times as long as it has slices")
        .isEqualTo(Math.max(patch.height(), patch.width()) > 3 * patch.depth());
  }

  @ParameterizedTest
  @CsvSource({"synapse, 18, 12", "acdc, 160, 40", "lung, 50, 13", "tumor, 387, 73", "btcv, 0, 0"})
  void listsOfCasesAreThoseOfThePublishedTrainers(String name, int training, int validation) {
    PublishedRecipe.Split split = named(name).split();
    assertThat(split.training()).hasSize(training).isSorted();
    assertThat(split.validation()).hasSize(validation).isSorted();
  }

  @Test
  void casesOfTheTumorDataThatAreLeftOutAreItsOwnTestCases() {
    List<String> all =
        new ArrayList<>(IntStream.rangeClosed(1, 484).mapToObj("BRATS_%03d"::formatted).toList());
    all.removeAll(named("tumor").split().training());
    all.removeAll(named("tumor").split().validation());
    assertThat(all).hasSize(24).startsWith("BRATS_058", "BRATS_059").endsWith("BRATS_450");
  }

  @Test
  void foldsAreThePublishedListsOrFiveOfTheirOwn() {
    PublishedRecipe recipe = named("synapse");
    List<String> some = List.of("img0001", "img0005", "img0040", "mine", "img0002");
    assertThat(recipe.folds(some, false))
        .containsExactly(new Fold(List.of("img0005", "img0040"), List.of("img0001", "img0002")));
    assertThat(recipe.folds(some, true)).hasSize(5);
    assertThat(named("btcv").folds(some, false)).hasSize(5);
    assertThatThrownBy(() -> recipe.folds(List.of("img0005", "img0006"), false))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "a fold holds back img0001, img0002, img0003 and 9 more, none of which is there, only"
                + " img0005, img0006");
  }

  @Test
  void preparationIsPublishedWhereItDoesNotDependOnTheData() {
    PreprocessingPlan synapse = named("synapse").preprocessing().orElseThrow();
    assertThat(synapse.targetSpacing()).isEqualTo(new Spacing(3.0, 0.75781244, 0.75781244));
    assertThat(synapse.channels())
        .containsExactly(
            new ChannelPlan(
                "CT",
                NormalizationScheme.CT,
                false,
                new IntensityStatistics(82.95177, 136.94818, -958, 326)));
    assertThat(named("synapse").preprocessing(planned(1))).isEqualTo(synapse);
    PreprocessingPlan tumor = named("tumor").preprocessing().orElseThrow();
    assertThat(tumor.channels()).hasSize(4).allMatch(ChannelPlan::useMask);
    assertThat(tumor.targetSpacing()).isEqualTo(new Spacing(1, 1, 1));
  }

  @Test
  void preparationIsPlannedWhereThePlanIsNotPublished() {
    for (String name : List.of("acdc", "lung", "btcv")) {
      assertThat(named(name).preprocessing()).isEmpty();
    }
    PreprocessingPlan lung = named("lung").preprocessing(planned(1));
    assertThat(lung.targetSpacing()).isEqualTo(new Spacing(5, 1.5, 1.25));
    assertThat(lung.transposeForward()).isEqualTo(new AxisOrder(2, 0, 1));
    assertThat(lung.channels())
        .containsExactly(
            new ChannelPlan(
                "CT", NormalizationScheme.CT, false, new IntensityStatistics(1, 2, -3, 4)));
    assertThat(named("acdc").preprocessing(planned(1)).channels())
        .containsExactly(new ChannelPlan("MRI", NormalizationScheme.NON_CT, false, null));
  }

  @Test
  void evaluationFollowsThePublishedScriptsOrTheTables() {
    PublishedRecipe tumor = named("tumor");
    assertThat(tumor.evaluation(false).convention()).isEqualTo(Convention.VOXELS);
    assertThat(tumor.evaluation(false).structures())
        .extracting(Structure::name)
        .containsExactly("ET", "TC", "WT", "ED", "NET");
    assertThat(tumor.evaluation(true))
        .isEqualTo(
            new PublishedRecipe.Evaluation(
                Convention.MILLIMETERS,
                List.of(
                    Structure.of("WT", List.of(1, 2, 3)),
                    Structure.of("TC", List.of(2, 3)),
                    Structure.of("ET", 3))));
    assertThat(named("synapse").evaluation(false).structures())
        .extracting(structure -> structure.labels().first())
        .containsExactly(1, 2, 3, 4, 6, 7, 8, 11);
    assertThat(named("btcv").evaluation(false).structures()).hasSize(13);
    assertThat(named("lung").evaluation(false).convention()).isEqualTo(Convention.MILLIMETERS);
  }

  /** The mean that the authors report is that of their organs, save for BTCV, where it is not. */
  @ParameterizedTest
  @CsvSource({"synapse, 0", "acdc, 0", "btcv, 0.0044"})
  void publishedMeansAreThoseOfTheirStructures(String name, double excess) {
    PublishedRecipe recipe = named(name);
    for (PublishedFigures published : recipe.published()) {
      double mean =
          recipe.evaluation(false).structures().stream()
              .mapToDouble(
                  structure -> published.figure(structure.name(), Metric.DICE).orElseThrow())
              .average()
              .orElseThrow();
      assertThat(published.figure(PublishedFigures.MEAN, Metric.DICE).orElseThrow() - mean)
          .isCloseTo(excess, within(1e-4));
    }
  }

  @Test
  void patchAndScheduleMayBeChosen() {
    PublishedRecipe recipe = named("acdc");
    PlanOptions options =
        new PlanOptions(
            0, new Extents(16, 32, 64), OptionalInt.of(1), OptionalInt.of(2), OptionalInt.of(10));
    List<Fold> folds = List.of(new Fold(List.of("a"), List.of("b")));
    TrainingPlan plan =
        recipe.plan("data", recipe.preprocessing(planned(1)), folds, options, false);
    assertThat(plan.architecture())
        .isEqualTo(recipe.architecture().withPatch(new Extents(16, 32, 64)));
    assertThat(plan.schedule()).isEqualTo(new Schedule(2, 10, 2, 1, 0.33, 12345));
    PlanOptions oneToken =
        new PlanOptions(
            0, new Extents(8, 32, 32), OptionalInt.of(1), OptionalInt.empty(), OptionalInt.empty());
    assertThatThrownBy(
            () -> recipe.plan("data", recipe.preprocessing(planned(1)), folds, oneToken, false))
        .hasMessageContaining("patch 8x32x32 leaves one token in the last stage");
  }

  private static String text(String name) throws IOException {
    String resource = "/org/unetrpp/recipes/" + name + ".json";
    try (InputStream in = PublishedRecipe.class.getResourceAsStream(resource)) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"formatVersion\": 1 | \"formatVersion\": 2 | formatVersion is 2, expected 1",
        "\"network\": \"acdc\" | \"network\": \"heart\" | network 'heart', expected one of",
        "\"network\": \"acdc\" | \"network\": \"lung\" | 4 labels, but the network has 2",
        "\"depth\": 16 | \"depth\": 17 | patch 17x160x160 is not a positive multiple",
        "\"weight\": 2 | \"weight\": 3 | deepSupervision is ",
        "\"labels\": [3] | \"labels\": [7] | has labels that are none of",
        "\"structures\": [\"right | \"structures\": [\"left\", \"right | corrected names ",
        "\"batchDice\" | \"batchdice\" | it has no 'batchDice'",
        "\"patient001_frame12\" | \"patient002_frame01\" | a case is in both lists",
        "\"step\": 0.5 | \"step\": 0.0 | step is 0.0, expected above 0"
      })
  void recipeThatDoesNotFitTogetherIsRefused(String from, String to, String problem)
      throws IOException {
    String text = text("acdc");
    assertThat(text).contains(from);
    String changed = text.replaceFirst(Pattern.quote(from), Matcher.quoteReplacement(to));
    assertThatThrownBy(() -> PublishedRecipe.parse(changed))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(problem);
  }

  @ParameterizedTest
  @MethodSource("names")
  void fileIsReadable(String name) throws IOException {
    assertThat(text(name).lines())
        .filteredOn(line -> !line.contains("note") && !line.strip().startsWith("\""))
        .allMatch(line -> line.length() <= 100);
  }
}
