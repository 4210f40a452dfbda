package org.unetrpp.bench.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ExpectedStepTest {
  @TempDir private Path folder;

  @Test
  void everyFigureIsComparedWithItself() throws IOException {
    ExpectedStep step =
        ExpectedStep.read(write("{\"batch\": 2, \"loss\": 4, \"gradientNorm\": 100}"), 2);

    NpyFile.Deviation deviation = step.deviation(5, 99);

    assertThat(deviation.largest()).isEqualTo(0.25);
    assertThat(deviation.rms()).isCloseTo(Math.sqrt((0.0625 + 1e-4) / 2), within(1e-15));
  }

  @Test
  void rejectsWhatIsNoNumber() {
    ExpectedStep step = new ExpectedStep(2, 4, 100);

    assertThatIllegalArgumentException()
        .isThrownBy(() -> step.deviation(Double.NaN, 100))
        .withMessage("loss NaN and gradient norm 100.0, expected 4.0 and 100.0");
  }

  @Test
  void rejectsAnotherBatchAndOtherFiles() throws IOException {
    Path four = write("{\"batch\": 4, \"loss\": 4, \"gradientNorm\": 100}");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ExpectedStep.read(four, 2))
        .withMessageEndingWith("expected a step with a batch of 2");
    Path text = write("no step");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ExpectedStep.read(text, 2))
        .withMessageContaining("no training step");
  }

  private Path write(String text) throws IOException {
    return Files.writeString(folder.resolve("step.json"), text);
  }
}
