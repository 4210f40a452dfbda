package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.Spacing;
import org.unetrpp.nn.DeterministicTensor;
import org.unetrpp.planning.PlanFile;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallDataset;

/**
 * A folder of images and labels, without a word of description, on its way through {@code plan},
 * {@code train}, {@code segment} and {@code evaluate}: twenty volumes of odd sizes and spacings,
 * with labels 0, 3 and 7.
 */
class OwnDataTest {
  private static final int CASES = 20;

  @TempDir Path folder;
  private SmallDataset data;
  private Path plan;

  @BeforeEach
  void makeData() throws IOException {
    data = SmallDataset.in(folder.resolve("own data"));
    plan = folder.resolve("own.json");
    for (int number = 0; number < CASES; number++) {
      Extents extents = new Extents(9 + number % 4, 21 - number % 3, 18 + number % 5);
      Spacing spacing = new Spacing(2.9 + 0.13 * (number % 3), 0.71 + 0.01 * number, 0.83);
      Geometry geometry = new Geometry(extents, Affine.ofSpacing(spacing));
      float[] labels = labels(extents);
      data.image("imagesTr/case_%02d.nii.gz".formatted(number), geometry, image(labels, number));
      data.image("labelsTr/case_%02d.nii.gz".formatted(number), geometry, labels);
    }
  }

  /** A box of 3 and a box of 7. */
  private static float[] labels(Extents extents) {
    float[] labels = new float[(int) extents.voxels()];
    for (int i = 0; i < labels.length; i++) {
      int d = i / extents.width() / extents.height();
      int h = i / extents.width() % extents.height();
      int w = i % extents.width();
      if (d >= 2 && d < 7 && h >= 4 && h < 14) {
        labels[i] = w >= 3 && w < 9 ? 3 : w >= 10 && w < 15 ? 7 : 0;
      }
    }
    return labels;
  }

  private static float[] image(float[] labels, int number) {
    float[] image = DeterministicTensor.values("noise" + number, labels.length, 100, 10);
    for (int i = 0; i < image.length; i++) {
      image[i] += 40 * labels[i];
    }
    return image;
  }

  private CommandRun train(String run, int workers) {
    return CommandRun.of(
        "train", plan, "--output", folder.resolve(run), "--threads", 2, "--workers", workers);
  }

  private void makePlan() {
    CommandRun run =
        CommandRun.of(
            "plan",
            data.folder(),
            "-o",
            plan,
            "--epochs",
            2,
            "--iterations",
            3,
            "--batch-size",
            2,
            "--patch",
            "8x16x16");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
  }

  @Test
  void labelsKeepTheirValuesFromPlanToEvaluation() throws IOException {
    makePlan();
    assertThat(PlanFile.read(plan).labelValues()).containsExactly(0, 3, 7);
    CommandRun trained = train("run", 1);
    assertThat(trained.exitCode()).as(trained.errorText()).isZero();
    assertThat(folder.resolve("run")).isDirectoryContaining("glob:**/curve.png");

    Path predictions = Files.createDirectory(folder.resolve("predictions"));
    CommandRun segmented =
        CommandRun.of(
            "segment",
            data.folder().resolve("imagesTr"),
            "--output",
            predictions,
            "--model",
            folder.resolve("run").resolve("model.safetensors"),
            "--no-mirroring");
    assertThat(segmented.exitCode()).as(segmented.errorText()).isZero();
    TreeSet<Integer> found = new TreeSet<>();
    for (int number = 0; number < CASES; number++) {
      Path result = predictions.resolve("case_%02d_seg.nii.gz".formatted(number));
      LabelVolume volume = LabelVolume.of(Nifti.open(result).volumes().getFirst());
      for (byte label : volume.labels()) {
        found.add((int) label);
      }
    }
    assertThat(found).isSubsetOf(0, 3, 7);

    Path json = folder.resolve("scores.json");
    CommandRun evaluated =
        CommandRun.of(
            "evaluate",
            "--predictions",
            predictions,
            "--labels",
            data.folder().resolve("labelsTr"),
            "--json",
            json);
    assertThat(evaluated.exitCode()).as(evaluated.errorText()).isZero();
    assertThat(Files.readString(json)).contains("case_19");
  }

  @Test
  void aRunIsValidatedAsPublished() throws IOException {
    makePlan();
    assertThat(train("run", 1).exitCode()).isZero();
    Path run = folder.resolve("run");
    CommandRun validated = CommandRun.of("validate", run, "--no-mirroring", "--save-probabilities");
    assertThat(validated.exitCode()).as(validated.errorText()).isZero();
    assertThat(validated.text()).contains("only the largest component of: ");

    List<String> ids =
        PlanFile.read(plan).folds().getFirst().validation().stream().sorted().toList();
    Path raw = run.resolve("validation_raw");
    JsonObject summary = json(raw.resolve("summary.json"));
    assertThat(summary.get("task").getAsString()).isEqualTo("own data");
    JsonArray all = summary.getAsJsonObject("results").getAsJsonArray("all");
    assertThat(all).hasSize(ids.size());
    for (int i = 0; i < ids.size(); i++) {
      JsonObject of = all.get(i).getAsJsonObject();
      assertThat(of.keySet()).containsExactlyInAnyOrder("0", "3", "7", "test", "reference");
      Path test = Path.of(of.get("test").getAsString());
      assertThat(test).isEqualTo(raw.resolve(ids.get(i) + ".nii.gz")).exists();
      assertThat(raw.resolve(ids.get(i) + "_prob.nii.gz")).exists();
      assertThat(run.resolve("validation_raw_postprocessed").resolve(ids.get(i) + ".nii.gz"))
          .exists();
    }
    assertThat(json(raw.resolve("validation_args.json")).get("do_mirroring").getAsBoolean())
        .isFalse();
    JsonObject decision = json(run.resolve("postprocessing.json"));
    assertThat(decision.get("num_samples").getAsInt()).isEqualTo(ids.size());
    JsonObject means = summary.getAsJsonObject("results").getAsJsonObject("mean");
    assertThat(decision.getAsJsonObject("dc_per_class_raw").get("3"))
        .isEqualTo(means.getAsJsonObject("3").get("Dice"));
    assertThat(
            json(run.resolve("validation_raw_postprocessed/summary.json"))
                .getAsJsonObject("results")
                .getAsJsonObject("mean")
                .keySet())
        .containsExactly("3", "7");

    Path alone = folder.resolve("decision.json");
    CommandRun determined =
        CommandRun.of(
            "determine-postprocessing",
            "--predictions",
            raw,
            "--labels",
            data.folder().resolve("labelsTr"),
            "-o",
            alone);
    assertThat(determined.exitCode()).as(determined.errorText()).isZero();
    assertThat(json(alone).get("for_which_classes")).isEqualTo(decision.get("for_which_classes"));

    FileTime before = Files.getLastModifiedTime(raw.resolve(ids.getFirst() + ".nii.gz"));
    CommandRun again = CommandRun.of("validate", run, "--skip-existing", "--no-postprocessing");
    assertThat(again.exitCode()).as(again.errorText()).isZero();
    assertThat(Files.getLastModifiedTime(raw.resolve(ids.getFirst() + ".nii.gz")))
        .isEqualTo(before);

    CommandRun best =
        CommandRun.of("validate", run, "--best", "--fold", "1", "--no-mirroring", "-o", folder);
    assertThat(best.exitCode()).as(best.errorText()).isZero();
    String other = PlanFile.read(plan).folds().get(1).validation().getFirst();
    assertThat(folder.resolve("validation_raw").resolve(other + ".nii.gz")).exists();
    assertThat(CommandRun.of("validate", run, "--fold", "9").exitCode()).isEqualTo(2);
    assertThat(CommandRun.of("validate", folder.resolve("none")).exitCode()).isEqualTo(3);
  }

  private static JsonObject json(Path file) throws IOException {
    return JsonParser.parseString(Files.readString(file)).getAsJsonObject();
  }

  @Test
  void numberOfWorkersChangesNothing() throws IOException {
    makePlan();
    assertThat(train("one", 1).exitCode()).isZero();
    assertThat(train("three", 3).exitCode()).isZero();
    for (String file : new String[] {"checkpoint_last.safetensors", "log.csv"}) {
      assertThat(folder.resolve("three").resolve(file))
          .hasSameBinaryContentAs(folder.resolve("one").resolve(file));
    }
  }

  @Test
  void mistakesAreNamedBeforeTrainingBegins() throws IOException {
    Geometry other =
        new Geometry(new Extents(9, 21, 17), Affine.ofSpacing(new Spacing(2.9, 0.71, 0.83)));
    data.image("labelsTr/case_00.nii.gz", other, labels(other.extents()));
    Files.delete(data.folder().resolve("labelsTr/case_07.nii.gz"));
    Files.write(data.folder().resolve("imagesTr/case_11.nii.gz"), new byte[] {1, 2, 3});
    CommandRun run = CommandRun.of("plan", data.folder(), "-o", plan);
    assertThat(run.exitCode()).isEqualTo(3);
    assertThat(run.errorText()).contains("case_00", "case_07", "case_11", "3 problems");
    assertThat(plan).doesNotExist();
  }
}
