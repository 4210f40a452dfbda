package org.unetrpp.planning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.dataset.DatasetCase;
import org.unetrpp.dataset.DatasetFolder;
import org.unetrpp.dataset.DatasetLabel;
import org.unetrpp.dataset.PreparedDataset;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.testing.SmallDataset;

class PlanFileTest {
  @TempDir Path folder;

  private Path written() throws IOException {
    Path path = folder.resolve("plan.json");
    PlanFile.write(path, PlannerTest.plan(PlannerTest.hippocampus(), PlanOptions.within(1L << 40)));
    return path;
  }

  @Test
  void planIsReadAsItWasWritten() throws IOException {
    TrainingPlan plan = PlannerTest.plan(PlannerTest.hippocampus(), PlanOptions.within(1L << 40));
    Path path = written();
    assertThat(PlanFile.read(path)).isEqualTo(plan);
    assertThat(Files.readAllLines(path))
        .allMatch(line -> line.length() <= 100)
        .contains("    \"patch\": {\"depth\": 40, \"height\": 56, \"width\": 40},");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"epochs\": 200     | \"epochs\": 0       | schedule: epochs is 0, expected 1 or more",
        "\"epochs\": 200     | \"epochs\": \"many\" | schedule.epochs: many, expected a whole number",
        "\"epochs\": 200     | \"epochs\": 1.5     | schedule.epochs: 1.5, expected a whole number",
        "\"learningRate\": 0.01 | \"learningRate\": \"x\" | optimization: 'learningRate' is \"x\", expected a number",
        "\"epochs\": 200,    | \"epoch\": 200,     | schedule: it has no 'epochs'",
        "\"epochs\": 200,    | \"epochs\": 200, \"x\": 1, | schedule: it has an unknown 'x'; known are epochs, iterations",
        "\"name\": \"made\", | \"name\": \"made\", \"nmae\": 1, | it has an unknown 'nmae'",
        "\"batchDice\": false | \"batchDice\": 0   | 'batchDice' is 0, expected true or false",
        "\"depth\": 40       | \"depth\": 41       | architecture: patch 41x56x40 is not a positive multiple",
        "\"classes\": 3      | \"classes\": 4      | 3 labels for 4 classes",
        "\"value\": 3        | \"value\": 7        | two labels have one value",
        "\"value\": 3        | \"value\": 300      | labels[1]: label 300, expected 0 to 255",
        "\"useMask\": false  | \"usemask\": false  | preprocessing.channels[0]: it has no 'useMask'",
        "\"inputChannels\": 1 | \"inputChannels\": 2 | preprocessing of 1 channels for a network of 2",
        "\"method\": \"SGD\" | \"method\": \"sgd\" | optimization: 'method' is \"sgd\", expected one of SGD, ADAMW",
        "\"momentum\": 0.99  | \"momentum\": 1     | optimization: momentum is 1.0, expected 0 to below 1",
        "\"case000\",        | \"case001\",        | folds[0]: training names case 'case001' twice",
        "\"formatVersion\": 1 | \"formatVersion\": 2 | formatVersion is 2, expected 1",
        "\"widths\": [32     | \"widths\": [33     | architecture: width 33 of stage 0",
        "\"widths\": [32     | \"widths\": [\"w\"  | architecture.widths: w, expected a whole number",
        "\"schedule\": {     | \"schedule\": 7, \"x\": { | schedule: 7, expected an object"
      })
  void editThatCannotBeIsNamedWithItsKey(String from, String to, String problem)
      throws IOException {
    Path path = written();
    String text = Files.readString(path);
    assertThat(text).contains(from);
    Files.writeString(path, text.replaceFirst(Pattern.quote(from), to));
    assertThatThrownBy(() -> PlanFile.read(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageStartingWith(path + ": no valid plan: " + problem);
  }

  @Test
  void whatIsNoPlanIsRefused() throws IOException {
    Path path = folder.resolve("other.json");
    for (String text : List.of("", "{", "[]", "null", "hello")) {
      Files.writeString(path, text);
      assertThatThrownBy(() -> PlanFile.read(path))
          .isInstanceOf(InvalidFileException.class)
          .hasMessageStartingWith(path + ": no valid plan: ");
    }
    Files.write(path, new byte[] {(byte) 0xff, (byte) 0xfe});
    assertThatThrownBy(() -> PlanFile.read(path)).hasMessageContaining("not UTF-8");
    assertThatThrownBy(() -> PlanFile.read(folder)).hasMessageContaining("a folder, expected");
  }

  @Test
  void casesArePreparedBesideThePlan() throws IOException {
    SmallDataset made = SmallDataset.in(folder.resolve("data")).withCases("a", "b");
    Path path = folder.resolve("my plan.json");
    TrainingPlan plan = smallPlan(made);
    PlanFile.write(path, plan);
    assertThat(PlanFile.openDataset(path, plan).cases())
        .extracting(DatasetCase::id)
        .containsExactly("a", "b");
    try (PreparedDataset prepared =
        PlanFile.prepare(path, PlanFile.read(path), 2, () -> false, Progress.NONE)) {
      assertThat(prepared.open("b").locations()).hasSize(2);
    }
    assertThat(folder.resolve("my plan_cache")).isDirectoryContaining("glob:**/a.safetensors");
  }

  @Test
  void foldsMayNameOnlyCasesOfTheDataSet() throws IOException {
    SmallDataset made = SmallDataset.in(folder.resolve("data")).withCases("a", "b", "c");
    TrainingPlan plan = smallPlan(made);
    Files.delete(made.folder().resolve("labelsTr/c.nii.gz"));
    Path path = folder.resolve("plan.json");
    assertThatThrownBy(() -> PlanFile.openDataset(path, plan))
        .isInstanceOf(InvalidFileException.class)
        .hasMessage(path + ": folds: case 'c' is not in " + made.folder());
  }

  private static TrainingPlan smallPlan(SmallDataset made) throws IOException {
    List<String> ids =
        DatasetFolder.open(made.folder()).cases().stream().map(DatasetCase::id).toList();
    return Planner.plan(
        "small",
        "data",
        PublishedPlannerTest.fingerprint(
            List.of("MRI"),
            SmallDataset.EXTENTS,
            1,
            Collections.nCopies(ids.size(), SmallDataset.SPACING)),
        List.of(
            new DatasetLabel(0, "background"), new DatasetLabel(1, "a"), new DatasetLabel(2, "b")),
        ids,
        PlanOptions.within(1L << 40));
  }
}
