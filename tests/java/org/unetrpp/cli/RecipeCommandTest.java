package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.PlanFile;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.recipe.PublishedRecipe;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallDataset;
import org.unetrpp.testing.TestResources;

/**
 * The published recipes as a user types them: three real volumes in the published layout of
 * Synapse, whose list gives the labels other names than their images.
 */
class RecipeCommandTest {
  private static final Path VOLUMES = Path.of("data", "hippocampus");
  private static final List<String> CASES = List.of("0005", "0006", "0001");

  @TempDir Path folder;
  private Path root;
  private Path task;
  private Path plan;

  @BeforeEach
  void layOut() throws IOException {
    root = folder.resolve("DATASET_Synapse");
    task = root.resolve("unetr_pp_raw/unetr_pp_raw_data/Task02_Synapse");
    plan = folder.resolve("plan.json");
    Files.createDirectories(task.resolve("imagesTr"));
    Files.createDirectories(task.resolve("labelsTr"));
    List<String> listed = new ArrayList<>();
    List<String> volumes = List.of("148", "165", "243");
    for (int i = 0; i < CASES.size(); i++) {
      String source = "hippocampus_" + volumes.get(i) + ".nii.gz";
      String image = "imagesTr/img" + CASES.get(i) + ".nii.gz";
      String label = "labelsTr/label" + CASES.get(i) + ".nii.gz";
      Files.copy(VOLUMES.resolve("imagesTr").resolve(source), task.resolve(image));
      Files.copy(VOLUMES.resolve("labelsTr").resolve(source), task.resolve(label));
      listed.add("{'image': './%s', 'label': './%s'}".formatted(image, label));
    }
    describe("'0': 'CT'", labels(13), String.join(",", listed));
  }

  private static String labels(int largest) {
    StringBuilder labels = new StringBuilder("'0': 'background'");
    for (int value = 1; value <= largest; value++) {
      labels.append(", '%d': 'organ %d'".formatted(value, value));
    }
    return labels.toString();
  }

  private void describe(String channels, String labels, String training) throws IOException {
    new SmallDataset(task)
        .withDescription(
            "{'name': 'S', 'modality': {%s}, 'labels': {%s}, 'training': [%s]}"
                .formatted(channels, labels, training),
            '\'');
  }

  private CommandRun train(Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of("train", "--recipe", "synapse", root, "--output", folder.resolve("run")));
    arguments.addAll(List.of(more));
    return CommandRun.of(arguments.toArray());
  }

  @Test
  void recipeGoesFromTheLayoutToTheFiguresBesideThePublished() throws IOException {
    CommandRun trained =
        train("--patch", "32x32x32", "--batch-size", 1, "--iterations", 2, "--epochs", 2);
    assertThat(trained.exitCode()).as(trained.errorText()).isZero();
    assertThat(trained.errorText())
        .contains(
            "2 of the 18 published training cases are there, and 1 of the 12 for validation",
            "planned by recipe synapse: ",
            "epoch 2: training loss ");
    TrainingPlan planned = PlanFile.read(folder.resolve("synapse.json"));
    assertThat(planned.folds())
        .containsExactly(new Fold(List.of("img0005", "img0006"), List.of("img0001")));
    assertThat(planned.schedule().validationIterations()).isEqualTo(1);

    Path predictions = Files.createDirectory(folder.resolve("predictions"));
    CommandRun segmented =
        CommandRun.of(
            "segment",
            "--recipe",
            "synapse",
            "--model",
            folder.resolve("run/model.safetensors"),
            task.resolve("imagesTr"),
            "--output",
            predictions,
            "--no-mirroring");
    assertThat(segmented.exitCode()).as(segmented.errorText()).isZero();

    CommandRun evaluated =
        CommandRun.of(
            "evaluate",
            "--recipe",
            "synapse",
            "--predictions",
            predictions,
            "--labels",
            task.resolve("labelsTr"));
    assertThat(evaluated.exitCode()).as(evaluated.errorText()).isZero();
    assertThat(evaluated.text())
        .contains(
            "HD95 (voxels)",
            "img0001",
            "(1 of the 12 are evaluated here, and 2 others)",
            "published [1]",
            "[1] image in the published repository; unit of HD95 not stated")
        .doesNotContain("esophagus");
    assertThat(evaluated.out())
        .anyMatch(line -> line.matches("mean Dice +[01]\\.\\d{4} +0\\.8722"))
        .anyMatch(line -> line.matches("pancreas Dice +[01]\\.\\d{4} +0\\.8110"));

    CommandRun other = train("--patch", "32x64x64");
    assertThat(other.errorText()).contains("synapse.json: exists, and --patch would not change it");
    CommandRun fold = train("--fold", 3);
    assertThat(fold.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(fold.errorText())
        .contains(
            "--fold is 3, expected a fold of the plan, which has 1, number 0; --corrected divides");
    assertThat(train().errorText()).contains("holds a run already; go on with it by --resume");
    CommandRun elsewhere =
        CommandRun.of("train", "--recipe", "synapse", copy(), "--output", folder.resolve("run"));
    assertThat(elsewhere.errorText()).contains("synapse.json: plans " + task + ", not ");
  }

  private Path copy() throws IOException {
    return SmallDataset.in(folder.resolve("copy")).folder();
  }

  private CommandRun plan(Object... more) {
    List<Object> arguments = new ArrayList<>(List.of("plan", root, "-o", plan));
    arguments.addAll(List.of(more));
    return CommandRun.of(arguments.toArray());
  }

  @Test
  void planIsTheRecipesForEditing() throws IOException {
    CommandRun run = plan("--recipe", "synapse");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out())
        .contains(
            "spacing   3.000 x 0.7578 x 0.7578 mm",
            "patch     64x128x128, batches of 2",
            "folds     1, 2 cases trained on and 1 held back",
            "note      8 of the 13 organs are evaluated");
    TrainingPlan written = PlanFile.read(plan);
    assertThat(written.labels()).isEqualTo(PublishedRecipe.named("synapse").orElseThrow().labels());
    assertThat(PlanFile.openDataset(plan, written).folder()).isEqualTo(task);
    assertThat(written.augmentation().sliceWise()).isTrue();

    plan = folder.resolve("corrected.json");
    assertThat(plan("--recipe", "synapse", "--corrected").exitCode()).isZero();
    assertThat(PlanFile.read(plan).augmentation().sliceWise()).isFalse();
    assertThat(PlanFile.read(plan).folds()).hasSize(3);
  }

  @Test
  void recipeWithoutAPublishedPlanTakesTheDataSetsSpacing() throws IOException {
    CommandRun run = plan("--recipe", "btcv");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out())
        .contains("spacing   1.000 x 1.000 x 1.000 mm", "patch     96x96x96, batches of 2");
    assertThat(PlanFile.read(plan).preprocessing().channels().getFirst().scheme())
        .isEqualTo(NormalizationScheme.CT);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "synapses | --recipe is synapses, expected one of synapse, btcv, acdc, lung, tumor | 2",
        "tumor    | holds no imagesTr and labelsTr, nor does Task003_tumor or Task03_tumor      | 3"
      })
  void otherRecipesAreRefused(String recipe, String problem, int exitCode) {
    CommandRun run = plan("--recipe", recipe);
    assertThat(run.exitCode()).isEqualTo(exitCode);
    assertThat(run.errorText()).contains(problem);
  }

  @Test
  void dataOfAnotherRecipeIsRefused() throws IOException {
    root = task;
    assertThat(plan("--recipe", "tumor").errorText())
        .contains("dataset.json: 1 channel (CT), but recipe tumor needs 4: FLAIR, T1w, t1gd, T2w");
    assertThat(plan("--recipe", "lung").errorText())
        .contains("but recipe lung has [0, 1] (1 cancer): give them these values, or plan without");
    assertThat(plan).doesNotExist();
  }

  @Test
  void optionsThatTheRecipeDecidesAreRefused() {
    assertThat(plan("--recipe", "synapse", "--labels", "1=x").errorText())
        .contains("--recipe synapse decides what --labels would; give one of them");
    assertThat(plan("--corrected").errorText())
        .contains("--corrected has a meaning only with --recipe");
    assertThat(CommandRun.of("train", "p.json", "--patch", "8x8x8").errorText())
        .contains("--patch has a meaning only with --recipe");
    assertThat(
            CommandRun.of(
                    "evaluate",
                    "--recipe",
                    "lung",
                    "--voxels",
                    "--predictions",
                    "p",
                    "--labels",
                    "l")
                .errorText())
        .contains("--recipe lung decides what --voxels would");
    assertThat(CommandRun.of("segment", "--recipe", "acdc", "x.nii").errorText())
        .contains("recipe acdc: no model acdc_fold0", "train it by: unetrpp train --recipe acdc");
    assertThat(
            CommandRun.of("segment", "--recipe", "acdc", "--model", "hippocampus", "x.nii")
                .errorText())
        .contains("hippocampus: 1 channels and 3 classes, but recipe acdc has 1 and 4");
  }

  /** A small part of the data set, without any case of one of the lists. */
  @Test
  void dataWithoutCasesOfAListIsRefusedUnlessDividedAnew() throws IOException {
    describe(
        "'0': 'CT'",
        labels(13),
        "{'image': 'imagesTr/img0005.nii.gz', 'label': 'labelsTr/label0005.nii.gz'},"
            + "{'image': 'imagesTr/img0006.nii.gz', 'label': 'labelsTr/label0006.nii.gz'}");
    CommandRun run = plan("--recipe", "synapse");
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.errorText())
        .contains(
            task
                + ": a fold holds back img0001, img0002, img0003 and 9 more, none of which is there,"
                + " only img0005, img0006; give the cases their published names, or divide those"
                + " there are into folds with --corrected");
    assertThat(plan("--recipe", "synapse", "--corrected").exitCode()).isZero();
  }

  @Test
  void problemsOfTheDataSetNameFileExpectationAndMend() throws IOException {
    Geometry geometry = new Geometry(new Extents(4, 6, 5), Affine.ofSpacing(new Spacing(2, 1, 1)));
    SmallDataset data = new SmallDataset(task);
    data.image("labelsTr/label0005.nii.gz", geometry, SmallDataset.labels());
    Files.delete(task.resolve("labelsTr/label0006.nii.gz"));
    CommandRun run = plan("--recipe", "synapse");
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.errorText())
        .contains(
            "labelsTr/label0005.nii.gz: another size than img0005.nii.gz: ",
            "expected 32x48x34 voxels; resample it to that grid",
            "labelsTr/label0006.nii.gz: the label of case 'img0006' is missing; add it, or take",
            task + ": 2 problems");
  }

  @Test
  void publishedPlanAndSplitsAreImported() throws IOException {
    root = VOLUMES;
    CommandRun run =
        plan(
            "--plans",
            TestResources.path("published-plans/hippocampus-plans-4.pkl"),
            "--splits",
            TestResources.path("published-plans/objects-splits_final-4.pkl"));
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out())
        .contains(
            "patch     32x56x40, batches of 9",
            "training  1000 epochs of 250 steps",
            "folds     1, 2 cases trained on and 1 held back");
    TrainingPlan written = PlanFile.read(plan);
    assertThat(written.folds().getFirst().validation()).containsExactly("hippocampus_243");
    assertThat(written.architecture().stem()).isEqualTo(Extents.cube(2));
  }

  @Test
  void importedPlanGivesARecipeItsSpacing() throws IOException {
    Path plans = TestResources.path("published-plans/synapse-plans.pkl");
    root = task;
    CommandRun run = plan("--recipe", "btcv", "--plans", plans);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out())
        .contains("spacing   3.000 x 0.7578 x 0.7578 mm", "patch     96x96x96, batches of 2");
    plan = folder.resolve("other.json");
    run = plan("--recipe", "btcv", "--properties", properties());
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(PlanFile.read(plan).preprocessing().channels().getFirst().statistics())
        .hasFieldOrPropertyWithValue("mean", 82.5);
  }

  private static Path properties() {
    return TestResources.path("published-plans/dataset_properties.pkl");
  }

  @Test
  void importedFilesOfOtherDataAreRefused() {
    Path plans = TestResources.path("published-plans/synapse-plans.pkl");
    root = VOLUMES;
    CommandRun run = plan("--plans", plans);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.errorText())
        .contains(plans + ": has labels [0, 1, 2, 3, 4, ", "hippocampus has [0, 1, 2]");
    root = task;
    Path splits = TestResources.path("published-plans/splits_final-4.pkl");
    assertThat(plan("--splits", splits).errorText())
        .contains(
            splits + ": a fold trains on hippocampus_165, hippocampus_243, none of which is there,",
            "leave out --splits to divide those anew");
    Path damaged = TestResources.path("checkpoints/nnunet-v1-plans/plans.pkl");
    assertThat(plan("--plans", damaged).errorText())
        .contains(damaged + ": byte 15094: ", "the length of the text at byte 14980");
    assertThat(plan).doesNotExist();
  }
}
