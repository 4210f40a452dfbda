package org.unetrpp.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.training.BatchProgress.Phase;
import org.unetrpp.training.TrainingRun.Outcome;
import org.unetrpp.weights.StoredTensor;

class TrainingRunTest {
  private static final int BATCHES = FakeRun.EPOCHS * (FakeRun.ITERATIONS + FakeRun.VALIDATIONS);

  @TempDir static Path reference;
  private static FakeRun whole;

  @TempDir Path folder;

  @BeforeAll
  static void runWithoutABreak() throws IOException {
    whole = new FakeRun(Duration.ZERO);
    assertThat(whole.run(reference, FakeRun.plan(), FakeRun.SELDOM, () -> false))
        .isEqualTo(Outcome.FINISHED);
  }

  @Test
  void everyStepHasABatchOfItsOwnAndTheRateOfItsEpoch() {
    int steps = FakeRun.EPOCHS * FakeRun.ITERATIONS;
    assertThat(whole.trainedOn).isEqualTo(LongStream.range(0, steps).boxed().toList());
    assertThat(whole.validatedOn)
        .isEqualTo(LongStream.range(0, FakeRun.EPOCHS * FakeRun.VALIDATIONS).boxed().toList());
    for (int step = 0; step < steps; step++) {
      double epoch = Math.floorDiv(step, FakeRun.ITERATIONS);
      assertThat(whole.trainer.learningRates.get(step))
          .isCloseTo(0.01 * Math.pow(1 - epoch / FakeRun.EPOCHS, 0.9), within(1e-15));
    }
  }

  @Test
  void stoppedAfterAnyBatchAndResumedItEndsWithTheSameBytes() throws IOException {
    for (int batches = 0; batches < BATCHES; batches++) {
      Path run = folder.resolve("after" + batches);
      assertThat(part(run, batches)).as("after %d", batches).isEqualTo(Outcome.STOPPED);
      new FakeRun(Duration.ZERO).run(run, FakeRun.plan(), FakeRun.SELDOM, () -> false);
      assertSameAsWhole(run);
    }
  }

  @Test
  void stoppedAfterEveryBatchItStillEndsWithTheSameBytes() throws IOException {
    int parts = 1;
    while (part(folder, 1) == Outcome.STOPPED) {
      parts++;
    }
    // The last batch ends the run, so that nothing is left to be stopped.
    assertThat(parts).isEqualTo(BATCHES);
    assertSameAsWhole(folder);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files.filter(file -> file.toString().contains("tfevents"))).hasSize(BATCHES);
    }
  }

  /** A process that starts anew and stops after some batches. */
  private Outcome part(Path run, int batches) throws IOException {
    FakeRun part = new FakeRun(Duration.ZERO);
    BooleanSupplier enough = () -> part.progress.size() >= batches;
    return part.run(run, FakeRun.plan(), FakeRun.SELDOM, enough);
  }

  @Test
  void savingAfterEveryBatchChangesNothing() throws IOException {
    new FakeRun(Duration.ZERO).run(folder, FakeRun.plan(), Duration.ZERO, () -> false);
    assertSameAsWhole(folder);
  }

  @Test
  void finishedRunThatGoesOnTakesNoStep() throws IOException {
    new FakeRun(Duration.ZERO).run(folder, FakeRun.plan(), FakeRun.SELDOM, () -> false);
    Files.delete(folder.resolve("model.safetensors")); // as if killed just before
    FakeRun again = new FakeRun(Duration.ZERO);
    assertThat(again.run(folder, FakeRun.plan(), FakeRun.SELDOM, () -> false))
        .isEqualTo(Outcome.FINISHED);
    assertThat(again.progress).isEmpty();
    assertSameAsWhole(folder);
  }

  @ParameterizedTest
  @ValueSource(strings = {"after the best model", "after the best checkpoint", "before the log"})
  void deathWhileAnEpochIsWrittenLeavesNothingBehind(String moment) throws IOException {
    int batches = FakeRun.ITERATIONS + FakeRun.VALIDATIONS; // all of the first epoch, not its end
    Path before = folder.resolve("before");
    Path after = folder.resolve("after");
    part(before, batches - 1);
    part(after, batches);
    List<String> written =
        switch (moment) {
          case "after the best model" -> List.of("model_best");
          case "after the best checkpoint" -> List.of("model_best", "checkpoint_best");
          default -> List.of("model_best", "checkpoint_best", "checkpoint_last");
        };
    for (String name : written) {
      Files.write(
          before.resolve(name + ".safetensors"),
          Files.readAllBytes(after.resolve(name + ".safetensors")));
    }
    new FakeRun(Duration.ZERO).run(before, FakeRun.plan(), FakeRun.SELDOM, () -> false);
    assertSameAsWhole(before);
  }

  @Test
  void firstEpochIsSavedAsBestAndThenEachThatIsBetter() throws IOException {
    assertThat(whole.epochs.getFirst().best()).isTrue();
    double best = Double.NEGATIVE_INFINITY;
    int bestEpoch = 0;
    Set<Boolean> seen = new HashSet<>();
    for (EpochResult epoch : whole.epochs) {
      assertThat(epoch.best()).isEqualTo(epoch.averageDice() > best);
      seen.add(epoch.best());
      if (epoch.best()) {
        best = epoch.averageDice();
        bestEpoch = epoch.epoch();
      }
    }
    assertThat(seen).as("the fake has better and worse epochs").hasSize(2);
    Checkpoint checkpoint = Checkpoint.read(reference.resolve("checkpoint_best.safetensors"));
    assertThat(checkpoint.state().epoch()).isEqualTo(bestEpoch);
    assertThat(checkpoint.state().best()).isEqualTo(best);
  }

  @Test
  void copyOfTheBestCheckpointGoesOnFromItsEpoch() throws IOException {
    new FakeRun(Duration.ZERO).run(folder, FakeRun.plan(), FakeRun.SELDOM, () -> false);
    Files.write(
        folder.resolve("checkpoint_last.safetensors"),
        Files.readAllBytes(folder.resolve("checkpoint_best.safetensors")));
    new FakeRun(Duration.ZERO).run(folder, FakeRun.plan(), FakeRun.SELDOM, () -> false);
    assertSameAsWhole(folder);
  }

  @Test
  void modelFileIsThatOfThePlanWithTheTrainedWeights() throws IOException {
    try (ModelFile model = ModelFile.open(reference.resolve("model.safetensors"))) {
      assertThat(model.description().labels()).isEqualTo(SmallModel.description(1).labels());
      assertThat(model.description().architecture()).isEqualTo(SmallModel.architecture(1));
      assertThat(model.description().provenance().note())
          .isEqualTo(
              "trained on livers, fold 0, 2 cases; 3 of 3 epochs of 3 steps; plan sha256 "
                  + PlanHash.of(FakeRun.plan()));
      StoredTensor trained = Objects.requireNonNull(model.tensors().get("out1.conv.conv.bias"));
      assertThat(trained.toFloats()).isEqualTo(whole.trainer.snapshot().get("weights"));
    }
  }

  @Test
  void lossThatIsNoNumberEndsTheRunAndIsNotSaved() throws IOException {
    FakeRun run = new FakeRun(Duration.ZERO);
    run.trainer.divergesAt = FakeRun.ITERATIONS + 2;
    assertThatThrownBy(() -> run.run(folder, FakeRun.plan(), Duration.ZERO, () -> false))
        .isInstanceOf(ArithmeticException.class)
        .hasMessageStartingWith("epoch 2, step 3: loss NaN, gradient norm ");
    Checkpoint last = Checkpoint.read(folder.resolve("checkpoint_last.safetensors"));
    assertThat(last.state().step(FakeRun.plan().schedule())).isEqualTo(FakeRun.ITERATIONS + 2);
  }

  @Test
  void progressCountsThePhasesAndForeseesTheEnd() throws IOException {
    FakeRun run = new FakeRun(Duration.ofMillis(2));
    run.run(folder, FakeRun.plan(1, 2, 1), FakeRun.SELDOM, () -> false);
    assertThat(run.progress)
        .extracting(BatchProgress::phase)
        .containsExactly(Phase.TRAINING, Phase.TRAINING, Phase.VALIDATION);
    assertThat(run.progress).extracting(BatchProgress::done).containsExactly(1, 2, 1);
    BatchProgress first = run.progress.getFirst();
    assertThat(first.secondsPerBatch()).isGreaterThanOrEqualTo(0.002);
    assertThat(first.waitingShare()).isBetween(0.0, 1.0);
    // One more step, and a validation batch that is taken for a third of one.
    assertThat(first.epochSecondsLeft()).isCloseTo(first.secondsPerBatch() * 4 / 3, within(1e-9));
    assertThat(run.progress.getLast().runSecondsLeft()).isZero();
  }

  @Test
  void timesAreKeptForEveryPartOfARun() throws IOException {
    part(folder, 2);
    part(folder, FakeRun.ITERATIONS);
    List<String> lines = Files.readAllLines(folder.resolve("timings.csv"));
    assertThat(lines).hasSize(3);
    assertThat(lines.get(0)).startsWith("epoch,steps,step_seconds,");
    assertThat(lines.get(1)).matches("1,2,0\\.\\d{3},0\\.\\d{3},0,0\\.000,0\\.000,\\d{4}-.*Z");
    assertThat(lines.get(2)).startsWith("1,1,").contains(",2,0.");
  }

  @Test
  void checkpointOfAnotherNetworkIsRefused() throws IOException {
    part(folder, 2);
    Path last = folder.resolve("checkpoint_last.safetensors");
    Checkpoint ours = Checkpoint.read(last);
    ours.tensors().remove("weights");
    ours.write(last);
    assertThatThrownBy(() -> part(folder, 2)).hasMessage(last + ": snapshot of another network");
  }

  private static void assertSameAsWhole(Path run) throws IOException {
    Map<String, byte[]> expected = FakeRun.lasting(reference);
    FakeRun.lasting(run)
        .forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(expected.get(name)));
  }
}
