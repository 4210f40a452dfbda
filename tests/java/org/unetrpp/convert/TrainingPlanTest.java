package org.unetrpp.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.testing.TestResources;

class TrainingPlanTest {
  @TempDir Path folder;

  private static TrainingPlan expected(Optional<String> trainer) {
    return new TrainingPlan(
        trainer,
        1,
        List.of("CT"),
        3,
        new Spacing(3.0, 0.7578, 0.7578),
        new Extents(16, 32, 32),
        List.of(0, 1, 2),
        List.of("CT"),
        List.of(false),
        List.of(new TrainingPlan.Intensities((float) 82.92, 136.97, -958, 360)),
        Optional.empty());
  }

  @Test
  void sideFileGivesThePlanOfTheTrainedStage() throws IOException {
    TrainingPlan plan =
        TrainingPlan.read(TestResources.path("made-checkpoints/training.model.pkl"));
    assertThat(plan).isEqualTo(expected(Optional.of("unetr_pp_trainer_synapse")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"plans.pkl", "plans-protocol2.pkl"})
  void plansFileGivesItsLastStage(String name) throws IOException {
    assertThat(TrainingPlan.read(TestResources.path("made-checkpoints/" + name)))
        .isEqualTo(expected(Optional.empty()));
  }

  @Test
  void missingPartIsNamed() throws IOException {
    Path path = Files.write(folder.resolve("x.pkl"), TestZip.bytes("\u0080\u0002}."));
    assertThatThrownBy(() -> TrainingPlan.read(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessage(path + ": not a plans file: it has no num_stages");
  }

  @Test
  void codeIsRefused() throws IOException {
    Path path = Files.write(folder.resolve("x.pkl"), TestZip.bytes("cos\nsystem\n(S'ls'\ntR."));
    assertThatThrownBy(() -> TrainingPlan.read(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("byte 0: refused: pickle wants to call os.system");
  }

  @Test
  void textProtocolIsRead() throws IOException {
    Path path =
        Files.write(
            folder.resolve("x.pkl"),
            TestZip.bytes("(dp0\nS'num_stages'\np1\nI2\nsVplans\\u0020\np2\nF1.5\nsg2\nI01\ns."));
    assertThatThrownBy(() -> TrainingPlan.read(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("it has no plans_per_stage");
  }
}
