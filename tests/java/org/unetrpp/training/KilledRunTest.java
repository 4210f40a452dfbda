package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Processes that die without a chance to save. */
class KilledRunTest {
  private static final int KILLS = 10;
  private static final int MOST_BATCHES = 20;
  private static final int LONGEST_BATCH_MILLIS = 12;

  @TempDir Path folder;

  @Test
  void runKilledTenTimesEndsWithTheBytesOfOneNeverKilled() throws Exception {
    Path whole = folder.resolve("whole");
    new FakeRun(Duration.ZERO).run(whole, TrainingChild.PLAN, FakeRun.SELDOM, () -> false);

    Path killed = folder.resolve("killed");
    Random random = new Random(20240601);
    for (int kill = 0; kill < KILLS; kill++) {
      Process child = start(killed);
      awaitBatches(child, random.nextInt(MOST_BATCHES));
      Thread.sleep(random.nextInt(LONGEST_BATCH_MILLIS));
      child.destroyForcibly();
      child.waitFor();
    }
    assertThat(killed.resolve("model.safetensors")).doesNotExist();
    RunState state = Checkpoint.read(killed.resolve("checkpoint_last.safetensors")).state();
    assertThat(state.epoch()).as("the kills came in the middle of the run").isBetween(1, 5);
    new FakeRun(Duration.ZERO).run(killed, TrainingChild.PLAN, FakeRun.SELDOM, () -> false);

    Map<String, byte[]> expected = FakeRun.lasting(whole);
    FakeRun.lasting(killed)
        .forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(expected.get(name)));
    try (Stream<Path> files = Files.list(killed)) {
      assertThat(files).noneMatch(file -> file.toString().endsWith(".part"));
    }
  }

  private static Process start(Path run) throws IOException {
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            TrainingChild.class.getName(),
            run.toString());
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
  }

  private static void awaitBatches(Process child, int batches) throws IOException {
    BufferedReader out = child.inputReader(StandardCharsets.UTF_8);
    assertThat(out.readLine()).isEqualTo(TrainingChild.READY);
    for (int batch = 0; batch < batches; batch++) {
      assertThat(out.readLine()).isEqualTo(TrainingChild.BATCH);
    }
  }
}
