package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.inference.Provenance;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.weights.SafeTensors;
import org.unetrpp.weights.StoredType;

class CheckpointTest {
  private static final String PLAN = PlanHash.of(FakeRun.plan());

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void write() throws IOException {
    file = folder.resolve("checkpoint.safetensors");
    checkpoint().write(file);
  }

  /** In the middle of the second epoch, after a first without validation. */
  private static Checkpoint checkpoint() {
    SequencedMap<String, float[]> tensors = new LinkedHashMap<>();
    tensors.put("weights", new float[] {1, -0.0f, Float.MIN_VALUE, 1 / 3f});
    tensors.put("a", new float[] {Float.NaN, Float.NEGATIVE_INFINITY});
    RunState state =
        RunState.start(3)
            .withStep(0.1)
            .withEpochEnded(0.01)
            .withStep(0.2)
            .withStep(1 / 3.0)
            .withValidation(
                new ValidationReport(
                    0.7, new long[] {1, 2, 3}, new long[] {4, 5, 1L << 60}, new long[3]));
    List<Provenance.Source> sources = List.of(new Provenance.Source("m.safetensors", "ab"));
    return new Checkpoint(PLAN, "0", sources, state, tensors);
  }

  @Test
  void readsWhatWasWritten() throws IOException {
    Checkpoint expected = checkpoint();
    Checkpoint read = Checkpoint.read(file);
    assertThat(read.planHash()).isEqualTo(PLAN);
    assertThat(read.fold()).isEqualTo("0");
    assertThat(read.sources()).isEqualTo(expected.sources());
    assertThat(read.state().history()).isEqualTo(expected.state().history());
    assertThat(read.state().best()).isNaN();
    assertThat(read.state().iteration()).isEqualTo(2);
    assertThat(read.state().lossSum()).isEqualTo(expected.state().lossSum());
    ValidationTally tally = read.state().validation();
    assertThat(tally.batches()).isEqualTo(1);
    assertThat(tally.lossSum()).isEqualTo(0.7);
    assertThat(tally.truePositives()).containsExactly(1, 2, 3);
    assertThat(tally.falsePositives()).containsExactly(4, 5, 1L << 60);
    assertThat(tally.falseNegatives()).containsExactly(0, 0, 0);
    assertThat(read.tensors().keySet()).containsExactly("weights", "a");
    read.tensors()
        .forEach((name, values) -> assertThat(values).isEqualTo(expected.tensors().get(name)));
  }

  @Test
  void bytesDependOnTheContentAlone() throws IOException {
    Path again = folder.resolve("again.safetensors");
    Checkpoint.read(file).write(again);
    assertThat(again).hasSameBinaryContentAs(file);
  }

  @Test
  void changedBytesAreFoundWhereverTheyAre() throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    for (int i = 0; i < bytes.length; i += 9) {
      byte[] changed = bytes.clone();
      changed[i] ^= 0x04;
      Files.write(file, changed);
      assertThatThrownBy(() -> Checkpoint.read(file))
          .as("byte %d", i)
          .isInstanceOf(InvalidFileException.class)
          .hasMessageStartingWith(file + ": ");
    }
  }

  @Test
  void lostEndsAreFound() throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    for (int length = 0; length < bytes.length; length += 31) {
      Files.write(file, Arrays.copyOf(bytes, length));
      assertThatThrownBy(() -> Checkpoint.read(file)).isInstanceOf(InvalidFileException.class);
    }
  }

  @Test
  void changedValueIsToldFromItsChecksum() throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
    assertThatThrownBy(() -> Checkpoint.read(file))
        .message()
        .matches(".*: damaged: checksum [0-9a-f]{8}, expected [0-9a-f]{8}");
  }

  @Test
  void otherFilesOfTensorsAreNoCheckpoints() throws IOException {
    Path model = SmallModel.write(folder.resolve("model.safetensors"), 1);
    assertThatThrownBy(() -> Checkpoint.read(model))
        .hasMessage(model + ": not a checkpoint of a training run");
    Path newer = folder.resolve("newer.safetensors");
    SafeTensors.write(
        newer, List.of(), Map.of("unetrpp_checkpoint_version", "7"), StoredType.FLOAT32);
    assertThatThrownBy(() -> Checkpoint.read(newer))
        .hasMessage(newer + ": checkpoint format version 7, expected 1");
  }

  @Test
  void isOfOnePlanAndFold() throws IOException {
    checkpoint().requireOf(PLAN, "0", file);
    assertThatThrownBy(() -> checkpoint().requireOf("f".repeat(64), "0", file))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageStartingWith(file + ": of another plan (sha256 " + PLAN.substring(0, 12));
    assertThatThrownBy(() -> checkpoint().requireOf(PLAN, "all", file))
        .hasMessage(file + ": of fold 0, expected fold all");
  }

  @Test
  void planIsTheSameWhereverItsDataLieAndAnotherWithOtherEpochs() {
    assertThat(PLAN).matches("[0-9a-f]{64}").isEqualTo(PlanHash.of(FakeRun.plan()));
    assertThat(PlanHash.of(FakeRun.plan(5, FakeRun.ITERATIONS, FakeRun.VALIDATIONS)))
        .isNotEqualTo(PLAN);
  }

  @Test
  void damagedLastCheckpointIsToldWithTheWayOut() throws IOException {
    Path run = folder.resolve("run");
    try (RunFolder open = RunFolder.open(run)) {
      assertThatThrownBy(() -> open.readLast(PLAN, "0"))
          .isInstanceOf(InvalidFileException.class)
          .hasMessage(open.lastCheckpoint() + ": no such file");
      Files.writeString(open.lastCheckpoint(), "short", StandardCharsets.UTF_8);
      assertThatThrownBy(() -> open.readLast(PLAN, "0"))
          .hasMessage(open.lastCheckpoint() + ": has 5 bytes, too few for a header length");
      checkpoint().write(open.bestCheckpoint());
      assertThatThrownBy(() -> open.readLast(PLAN, "0"))
          .hasMessage(
              open.lastCheckpoint()
                  + ": has 5 bytes, too few for a header length"
                  + "; copy checkpoint_best.safetensors over it to go on from the best epoch");
    }
  }
}
