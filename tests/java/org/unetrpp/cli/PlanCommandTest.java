package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.unetrpp.testing.SmallDataset.GEOMETRY;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.planning.PlanFile;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallDataset;

class PlanCommandTest {
  @TempDir Path folder;
  private SmallDataset made;
  private Path plan;

  @BeforeEach
  void makeDataSet() throws IOException {
    made = SmallDataset.in(folder.resolve("data")).withCases("a", "b", "c", "d", "e");
    plan = folder.resolve("p.json");
  }

  private CommandRun run(Object... options) {
    Object[] arguments = new Object[4 + options.length];
    arguments[0] = "plan";
    arguments[1] = made.folder();
    arguments[2] = "-o";
    arguments[3] = plan;
    System.arraycopy(options, 0, arguments, 4, options.length);
    return CommandRun.of(arguments);
  }

  @Test
  void planIsWrittenAndSummedUp() throws IOException {
    made.withDescription("CT");
    CommandRun run = run();
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .contains(
            "data set  Small, 5 cases",
            "channels  CT (normalized as CT)",
            "labels    1 a, 2 b",
            "spacing   2.000 x 1.000 x 1.000 mm",
            "patch     4x6x5, batches of 2",
            "training  200 epochs of 250 steps",
            "folds     5",
            "written to " + plan,
            "next: unetrpp train " + plan)
        .anyMatch(line -> line.matches("memory    about [0-9.]+ MiB for a training step"))
        .anyMatch(line -> line.matches("network   [0-9.]+ million parameters, strides 1x1x1, .*"));
    TrainingPlan written = PlanFile.read(plan);
    assertThat(written.dataset()).isEqualTo("data");
    assertThat(PlanFile.openDataset(plan, written).cases()).hasSize(5);
  }

  @Test
  void realDataSetIsPlanned() throws IOException {
    CommandRun run = CommandRun.of("plan", Path.of("data", "hippocampus"), "-o", plan);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .contains(
            "data set  Hippocampus, 3 cases",
            "labels    1 Anterior, 2 Posterior",
            "patch     32x56x40, batches of 2",
            "folds     3, each holding back one case");
    assertThat(PlanFile.openDataset(plan, PlanFile.read(plan)).cases()).hasSize(3);
  }

  @Test
  void problemsAreALineEachAndNothingIsWritten() throws IOException {
    made.withDescription("CT");
    Files.delete(made.folder().resolve("imagesTr/a.nii.gz"));
    made.image("labelsTr/b.nii.gz", GEOMETRY, SmallDataset.noise("b"));
    Path notes = Files.writeString(made.folder().resolve("labelsTr/notes.txt"), "x");
    CommandRun run = run();
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).hasSize(4);
    assertThat(run.err().get(0)).startsWith("warning: " + notes + ": belongs to no case");
    assertThat(run.err().get(1)).startsWith("error: ").contains("imagesTr/a.nii.gz: its image");
    assertThat(run.err().get(2)).startsWith("error: ").contains("labelsTr/b.nii.gz: ");
    assertThat(run.err().get(3)).isEqualTo("error: " + made.folder() + ": 2 problems");
    assertThat(plan).doesNotExist();
  }

  @Test
  void optionsNameAndOverride() throws IOException {
    CommandRun run =
        run(
            "--modality",
            "CT",
            "--labels",
            "1=liver,2=left lung",
            "--patch",
            "4x8x8",
            "--batch-size",
            3,
            "--epochs",
            7,
            "--iterations",
            9,
            "--threads",
            1);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    TrainingPlan written = PlanFile.read(plan);
    assertThat(written.preprocessing().channels().getFirst().scheme())
        .isEqualTo(NormalizationScheme.CT);
    assertThat(written.labels())
        .extracting(LabelClass::name)
        .containsExactly("background", "liver", "left lung");
    assertThat(written.architecture().patch()).isEqualTo(new Extents(4, 8, 8));
    assertThat(written.schedule().batchSize()).isEqualTo(3);
    assertThat(written.schedule().epochs()).isEqualTo(7);
    assertThat(written.schedule().iterations()).isEqualTo(9);
  }

  @Test
  void folderWithoutDescriptionIsPlannedWithUnknownModality() throws IOException {
    CommandRun run = run();
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out())
        .contains(
            "data set  data, 5 cases",
            "channels  unknown (normalized case by case)",
            "labels    1 label 1, 2 label 2");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--patch      | 4x4     | --patch '4x4', expected the form 64x128x128",
        "--patch      | 0x4x4   | --patch is 0x4x4, expected extents above 0",
        "--labels     | liver   | --labels 'liver', expected the form 1=liver",
        "--labels     | 300=x   | --labels: label 'x' has value 300, expected 0 to 255",
        "--modality   | T1,T2   | --modality names 2 channels, but images have 1",
        "--epochs     | 0       | --epochs is 0, expected 1 or more",
        "--max-memory | much    | memory size 'much', expected a number and k, m, g or t, such as 4g"
      })
  void optionThatCannotBeIsAUsageError(String option, String value, String message) {
    CommandRun run = run(option, value);
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err().getFirst()).isEqualTo("error: " + message);
    assertThat(plan).doesNotExist();
  }

  @Test
  void existingPlanIsNotReplaced() throws IOException {
    Files.writeString(plan, "mine");
    CommandRun run = run();
    assertThat(run.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(run.err())
        .containsExactly("error: " + plan + ": exists; delete it, or name another plan with -o");
    assertThat(Files.readString(plan)).isEqualTo("mine");
  }

  @Test
  void tooLittleMemoryIsOneLine() {
    CommandRun run = run("--max-memory", "1m");
    assertThat(run.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(run.err()).singleElement().asString().contains("more than the 1 MiB allowed");
  }

  @Test
  void whatIsNoDataSetIsABadInput() {
    CommandRun run = CommandRun.of("plan", folder.resolve("nowhere"), "-o", plan);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err()).containsExactly("error: " + folder.resolve("nowhere") + ": no such file");
  }
}
