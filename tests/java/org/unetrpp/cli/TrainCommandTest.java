package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.Gson;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.inference.ModelFile;
import org.unetrpp.model.StateLayout;
import org.unetrpp.planning.TrainingPlan;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.training.BatchSource;
import org.unetrpp.training.FakeRun;
import org.unetrpp.training.FakeTrainer;
import org.unetrpp.training.Trainer;
import org.unetrpp.weights.StoredType;

class TrainCommandTest {
  @TempDir Path folder;
  private Path plan;
  private final List<TrainingParts.Request> requests = new ArrayList<>();
  private int batchesUntilStop = Integer.MAX_VALUE;

  @BeforeEach
  void writePlan() throws IOException {
    plan = folder.resolve("liver.json");
    Files.writeString(plan, new Gson().toJson(FakeRun.plan(2, 3, 1)));
  }

  /** A fake trainer and fake batches by plans that Gson reads. */
  private final class FakeParts implements TrainingParts {
    @Override
    public TrainingPlan readPlan(Path file) throws IOException {
      return new Gson().fromJson(Files.readString(file), TrainingPlan.class);
    }

    @Override
    public void writePlan(Path target, TrainingPlan written) throws IOException {
      Files.writeString(target, new Gson().toJson(written));
    }

    @Override
    public Opened open(Request request, Console console) {
      requests.add(request);
      return new Opened() {
        @Override
        public Trainer trainer() {
          return new FakeTrainer(Duration.ZERO);
        }

        @Override
        public BatchSource training() {
          return index -> FakeRun.batch(index, 0);
        }

        @Override
        public BatchSource validation() {
          return index -> FakeRun.batch(index, 1);
        }

        @Override
        public void close() {}
      };
    }
  }

  private CommandRun train(Object... arguments) {
    String[] texts =
        Stream.concat(Stream.of("train"), Arrays.stream(arguments).map(Object::toString))
            .toArray(String[]::new);
    TrainCommand command = new TrainCommand(new FakeParts(), () -> batchesUntilStop-- <= 0);
    return CommandRun.during(() -> Main.run(List.of(command), texts));
  }

  @Test
  void runLiesBesideItsPlanAndSaysHowToUseTheModel() throws IOException {
    CommandRun run = train(plan, "--threads", 3, "--workers", 2);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    Path output = folder.resolve("liver_fold0");
    Path model = output.resolve("model.safetensors");
    assertThat(run.out()).containsExactly(model.toString());
    assertThat(run.err())
        .hasSize(3)
        .last()
        .isEqualTo("finished; segment with: unetrpp segment IMAGE --model " + model);
    assertThat(run.err().getFirst())
        .matches(
            "epoch 1: training loss -?\\d\\.\\d{4}, validation loss -?\\d\\.\\d{4}, "
                + "Dice [01]\\.\\d{4}, average [01]\\.\\d{4} \\(best\\), \\d+ s");
    try (Stream<Path> files = Files.list(output)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .hasSize(10)
          .contains(
              ".lock",
              "checkpoint_best.safetensors",
              "checkpoint_last.safetensors",
              "curve.png",
              "log.csv",
              "model.safetensors",
              "model_best.safetensors",
              "plan.json",
              "timings.csv")
          .anyMatch(name -> name.startsWith("events.out.tfevents."));
    }
    TrainingParts.Request request = requests.getFirst();
    assertThat(request.fold()).isEqualTo(request.plan().folds().getFirst());
    assertThat(request.threads()).isEqualTo(3);
    assertThat(request.workers()).isEqualTo(2);
    TrainingPlan copy = new FakeParts().readPlan(output.resolve("plan.json"));
    assertThat(copy.dataset()).isEqualTo(folder.resolve("data").toAbsolutePath().toString());
  }

  @Test
  void foldAllTrainsOnEveryCaseOnce() {
    assertThat(train(plan, "--fold", "all").exitCode()).isZero();
    assertThat(requests.getFirst().fold().training()).containsExactly("a", "b", "c");
    assertThat(requests.getFirst().fold().validation()).containsExactly("a", "b", "c");
    assertThat(folder.resolve("liver_all").resolve("model.safetensors")).exists();
  }

  @Test
  void runIsNotOverwritten() throws IOException {
    Path output = folder.resolve("out");
    assertThat(train(plan, "--output", output).exitCode()).isZero();
    byte[] log = Files.readAllBytes(output.resolve("log.csv"));
    CommandRun again = train(plan, "--output", output);
    assertThat(again.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(again.err())
        .containsExactly(
            "error: %s: holds a run already; go on with it by --resume, or choose another --output"
                .formatted(output));
    assertThat(output.resolve("log.csv")).hasBinaryContent(log);
    assertThat(requests).hasSize(1);
  }

  @Test
  void stoppedRunSaysHowToGoOnAndDoesSo() throws IOException {
    Path whole = folder.resolve("whole");
    assertThat(train(plan, "--fold", 1, "--epochs", 3, "--output", whole).exitCode()).isZero();
    Path output = folder.resolve("two words");
    batchesUntilStop = 6;
    CommandRun stopped = train(plan, "--fold", 1, "--epochs", 3, "--output", output);
    assertThat(stopped.exitCode()).isEqualTo(ExitCode.CANCELLED);
    assertThat(stopped.out()).isEmpty();
    assertThat(stopped.err())
        .last()
        .isEqualTo(
            "stopped in epoch 2 of 3 after step 2 of 3; go on with: unetrpp train %s --fold 1 "
                    .formatted(plan)
                + "--output '%s' --epochs 3 --resume".formatted(output));
    batchesUntilStop = Integer.MAX_VALUE;
    CommandRun rest = train(plan, "--fold", 1, "--output", output, "--epochs", 3, "--resume");
    assertThat(rest.exitCode()).as(rest.errorText()).isZero();
    for (String name : List.of("checkpoint_last.safetensors", "model.safetensors", "log.csv")) {
      assertThat(output.resolve(name)).hasSameBinaryContentAs(whole.resolve(name));
    }
  }

  @Test
  void runThatDoesNotFitIsNotGoneOnWith() {
    Path output = folder.resolve("out");
    Path last = output.resolve("checkpoint_last.safetensors");
    assertThat(train(plan, "--output", output, "--resume").err())
        .containsExactly(
            "error: %s: holds no run to go on with; leave out --resume to start one"
                .formatted(output));
    assertThat(output).doesNotExist();
    assertThat(train(plan, "--output", output).exitCode()).isZero();
    CommandRun otherPlan = train(plan, "--output", output, "--resume", "--epochs", 9);
    assertThat(otherPlan.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(otherPlan.errorText()).startsWith("error: " + last + ": of another plan (sha256 ");
    CommandRun otherFold = train(plan, "--output", output, "--resume", "--fold", 1);
    assertThat(otherFold.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(otherFold.err()).containsExactly("error: " + last + ": of fold 0, expected fold 1");
  }

  @Test
  void modelToStartFromGivesWhatFitsAndIsNamedInTheResult() throws IOException {
    Path given = SmallModel.write(folder.resolve("given.safetensors"), 1);
    Path two = folder.resolve("two.json");
    String json = Files.readString(plan);
    // A network of another patch takes all but what counts the tokens.
    Files.writeString(
        two, json.replaceFirst("\"patch\":\\{\"depth\":16", "\"patch\":{\"depth\":32"));
    CommandRun run = train(two, "--from", given, "--output", folder.resolve("out"));
    assertThat(run.errorText()).contains("starts fresh: ");
    assertThat(run.err().getFirst()).matches(".*given\\.safetensors: gives \\d+ tensors");
    assertThat(run.err().stream().filter(line -> line.startsWith("starts fresh: ")))
        .isNotEmpty()
        .allMatch(line -> line.contains("in the model"));

    CommandRun same = train(plan, "--from", given, "--output", folder.resolve("same"));
    assertThat(same.exitCode()).as(same.errorText()).isZero();
    try (ModelFile model = ModelFile.open(folder.resolve("same").resolve("model.safetensors"));
        ModelFile source = ModelFile.open(given)) {
      assertThat(model.description().provenance().sources())
          .singleElement()
          .satisfies(file -> {
            assertThat(file.name()).isEqualTo("given.safetensors");
            assertThat(file.sha256()).matches("[0-9a-f]{64}");
          });
      String name = "encoder1.conv1.conv.weight";
      assertThat(
              requests
                  .getLast()
                  .initialValues()
                  .apply(
                      StateLayout.of(SmallModel.architecture(1)).stream()
                          .filter(entry -> entry.name().equals(name))
                          .findFirst()
                          .orElseThrow()))
          .isEqualTo(Objects.requireNonNull(source.tensors().get(name)).toFloats());
    }
  }

  @Test
  void modelsMayBeOfSixteenBits() throws IOException {
    assertThat(train(plan, "--model-type", "bfloat16").exitCode()).isZero();
    Path run = folder.resolve("liver_fold0");
    for (String name : List.of("model.safetensors", "model_best.safetensors")) {
      try (ModelFile model = ModelFile.open(run.resolve(name))) {
        assertThat(model.tensors().values())
            .allMatch(tensor -> tensor.type() == StoredType.BFLOAT16);
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--fold 2 | --fold is 2, expected a fold of the plan, which has 2",
        "--fold some | --fold is some, expected a number from 0 or all",
        "--epochs 0 | --epochs is 0, expected 1 or more",
        "--workers 0 | --workers is 0, expected 1 or more",
        "--save-every 0 | --save-every is 0, expected 1 or more",
        "--model-type int8 | --model-type is int8, expected float32 or bfloat16",
        "--from m --resume | --from starts a run and --resume goes on with one; give one"
      })
  void wrongUsageIsTold(String options, String message) {
    CommandRun run = train(Stream.concat(Stream.of(plan), Stream.of(options.split(" "))).toArray());
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err().getFirst()).isEqualTo("error: " + message);
    assertThat(folder.resolve("liver_fold0")).doesNotExist();
  }

  @Test
  void missingPlanIsABadInput() {
    Path missing = folder.resolve("missing.json");
    CommandRun run = train(missing);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err()).containsExactly("error: " + missing + ": no such file");
  }
}
