package org.unetrpp.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.files.InvalidFileException;

class SpeedTableTest {
  private static final String RECORD =
      """
      {"what": "WHAT", "commit": "abc", "machine": {"processor": "CPU", "processors": 2},
       "variant": "VARIANT", "batch": 2, "threads": 2, "foreignProcesses": 1, "cleanRounds": 1,
       "overAllRounds": false,
       "contestants": [
        {"name": "engine", "version": "1", "passPeakResidentBytes": 536870912,
         "medianSeconds": 0.5, "slowdown": {"median": 2, "smallest": 1, "largest": 3},
         "passes": [{}, {}]},
        {"name": "torch-tuned", "version": "Torch 2", "passPeakResidentBytes": 1073741824,
         "medianSeconds": 1.5, "passes": [{}, {}]}],
       "ratios": [
        {"name": "torch-tuned", "by": "engine", "median": 3, "smallest": 2.5, "largest": 3.25}]}
      """;

  @TempDir Path folder;

  private void write(String what, String variant) throws IOException {
    Files.writeString(
        folder.resolve("cpu-%s-%s.json".formatted(what, variant)),
        RECORD.replace("WHAT", what).replace("VARIANT", variant));
  }

  /** If this fails, {@code bench/results/table} has not been run since the records changed. */
  @Test
  void readmeShowsWhatTheRecordsGive() throws IOException {
    Path readme = Path.of("../README.md");
    String text = Files.readString(readme);
    assertThat(text)
        .isEqualTo(
            SpeedTable.inserted(readme, text, SpeedTable.of(Path.of("results"), "bench/results")));
  }

  @Test
  void rowsAreTheRecordsInTheirOrder() throws IOException {
    write("training", "synapse");
    write("forward", "acdc");
    write("forward", "synapse");
    assertThat(SpeedTable.of(folder, "results").lines())
        .startsWith(
            "| float32 | this engine | Torch 2, malloc tuned | rounds, commit |",
            "| --- | --- | --- | --- |",
            "| synapse, a patch | **0.50 s**, 0.50 GiB | 3.00 (2.50 to 3.25), 1.00 GiB"
                + " | 1 of 2, [abc](results/cpu-forward-synapse.md) |")
        .containsSubsequence(
            "| acdc, a patch | **0.50 s**, 0.50 GiB | 3.00 (2.50 to 3.25), 1.00 GiB"
                + " | 1 of 2, [abc](results/cpu-forward-acdc.md) |",
            "| synapse, a training step of 2 | **0.50 s**, 0.50 GiB | 3.00 (2.50 to 3.25), 1.00 GiB"
                + " | 1 of 2, [abc](results/cpu-training-synapse.md) |",
            "2 threads of CPU, 2 processors.",
            "| acdc, a patch, beside 1 | 2.00 (1.00 to 3.00) | – |");
  }

  @Test
  void whatIsNoRecordIsNamed() throws IOException {
    assertThatExceptionOfType(InvalidFileException.class)
        .isThrownBy(() -> SpeedTable.of(folder, ""))
        .withMessageContaining("no records");
    for (String text : new String[] {"no JSON", "{}", RECORD.replace("\"engine\"", "\"other\"")}) {
      Files.writeString(folder.resolve("cpu-forward-acdc.json"), text);
      assertThatExceptionOfType(InvalidFileException.class)
          .isThrownBy(() -> SpeedTable.of(folder, ""))
          .withMessageContaining("cpu-forward-acdc.json");
    }
    assertThatExceptionOfType(InvalidFileException.class)
        .isThrownBy(() -> SpeedTable.inserted(folder, SpeedTable.BEGIN + "\n", ""))
        .withMessageContaining("expected a line");
  }
}
