package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.inference.LabelClass;

class RunFolderTest {
  @TempDir Path folder;

  @Test
  void isOpenOnlyOnceAtATime() throws IOException {
    Path run = folder.resolve("deep").resolve("run");
    try (RunFolder _ = RunFolder.open(run)) {
      assertThatThrownBy(() -> RunFolder.open(run))
          .isInstanceOf(IOException.class)
          .hasMessage(run + ": another process trains into this folder");
    }
    try (RunFolder again = RunFolder.open(run)) {
      assertThat(again.path()).isEqualTo(run);
    }
  }

  @Test
  void filesThatWereNeverFinishedAreRemoved() throws IOException {
    Path unfinished = Files.createFile(folder.resolve(".checkpoint_last.safetensors.1-2.part"));
    Path other = Files.createFile(folder.resolve("notes.part"));
    try (RunFolder _ = RunFolder.open(folder)) {
      assertThat(unfinished).doesNotExist();
      assertThat(other).exists();
    }
  }

  @Test
  void hasARunOnceThereIsACheckpointOrModel() throws IOException {
    assertThat(RunFolder.hasRun(folder.resolve("missing"))).isFalse();
    try (RunFolder open = RunFolder.open(folder)) {
      Files.createFile(open.log());
      Files.createFile(open.plan());
      assertThat(RunFolder.hasRun(folder)).isFalse();
      for (Path file : List.of(open.lastCheckpoint(), open.bestCheckpoint(), open.model())) {
        Files.createFile(file);
        assertThat(RunFolder.hasRun(folder)).isTrue();
        Files.delete(file);
      }
    }
  }

  @Test
  void logHasALineAnEpochAndLeavesOutWhatIsNoNumber() {
    List<LabelClass> labels = LabelClass.of(List.of("left, upper", "spleen"));
    List<EpochResult> epochs =
        Stream.of(
                new EpochResult(1, 0.01, 1 / 3.0, Double.NaN, 0.5, 0.5, true, List.of(0.5, 0.5)),
                new EpochResult(2, 1e-5, -0.25, -1, 0.25, 0.475, false, List.of(Double.NaN, 0.25)))
            .toList();
    assertThat(RunLog.csv(epochs, labels))
        .isEqualTo(
            """
            epoch,learning_rate,training_loss,validation_loss,dice,average_dice,best,\
            "dice_left, upper",dice_spleen
            1,0.01,0.3333333333333333,,0.5,0.5,1,0.5,0.5
            2,1.0E-5,-0.25,-1.0,0.25,0.475,0,,0.25
            """);
  }
}
