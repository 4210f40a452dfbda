package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.model.NetworkCost;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;

class BenchmarkCommandTest {
  @TempDir Path folder;
  private Path model;

  @BeforeEach
  void writeModel() throws IOException {
    model = SmallModel.write(folder.resolve("small.safetensors"), 1);
  }

  @Test
  void aModelIsMeasured() {
    CommandRun run =
        CommandRun.of(
            "benchmark",
            "--model",
            model,
            "--device",
            "cpu",
            "--passes",
            3,
            "--training",
            "--json");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    JsonObject found = JsonParser.parseString(run.text()).getAsJsonObject();
    long parameters =
        NetworkCost.parametersByPart(SmallModel.architecture(1)).values().stream()
            .mapToLong(Long::longValue)
            .sum();
    assertThat(found.get("parameters").getAsLong()).isEqualTo(parameters);
    assertThat(found.get("patch").getAsString()).isEqualTo(SmallModel.PATCH.toString());
    for (String kind : new String[] {"pass_seconds", "step_seconds"}) {
      JsonObject seconds = found.getAsJsonObject(kind);
      assertThat(seconds.get("median").getAsDouble())
          .isBetween(seconds.get("smallest").getAsDouble(), seconds.get("largest").getAsDouble());
      assertThat(seconds.get("smallest").getAsDouble()).isPositive();
    }
    assertThat(found.get("batch_size").getAsInt()).isEqualTo(2);
    assertThat(found.has("published")).isFalse();
  }

  @Test
  void aPublishedNetworkStandsBesideItsClaims() {
    CommandRun run = CommandRun.of("benchmark", "--variant", "synapse", "--passes", 1);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out().getFirst()).isEqualTo("synapse, 1x64x128x128, fp32");
    assertThat(run.out())
        .anyMatch(line -> line.matches("parameters +42\\.9\\d M +42\\.96 M"))
        .anyMatch(line -> line.matches("multiply-adds +47\\.89 G +47\\.98 G"))
        .anyMatch(line -> line.matches("a patch +\\S+ s \\(\\S+ to \\S+\\) +-"))
        .anyMatch(line -> line.startsWith("published: Shaker et al., "))
        .allMatch(line -> line.length() <= 100);
  }

  @Test
  void whatCannotBeMeasuredIsOneLine() {
    assertFails(
        ExitCode.USAGE,
        "error: --variant is brain, expected one of acdc, btcv, lung, synapse, tumor",
        "--variant",
        "brain");
    assertFails(ExitCode.USAGE, "error: --passes is 0, expected 1 or more", "--passes", 0);
    assertFails(
        ExitCode.USAGE, "error: --batch-size is -1, expected 1 or more", "--batch-size", -1);
    assertFails(
        ExitCode.USAGE,
        "error: device 'abacus' is unknown, expected auto, cpu, cuda or cuda:N",
        "--device",
        "abacus");
    assertFails(
        ExitCode.BAD_INPUT,
        "error: none.safetensors: no such file or built-in model",
        "--model",
        "none.safetensors");
    assertFails(
        ExitCode.FAILED,
        "error: a training step of synapse with batch 100000 needs about ",
        "--training",
        "--batch-size",
        100_000,
        "--device",
        "cpu");
  }

  private static void assertFails(int exitCode, String message, Object... options) {
    Object[] arguments = new Object[options.length + 1];
    arguments[0] = "benchmark";
    System.arraycopy(options, 0, arguments, 1, options.length);
    CommandRun run = CommandRun.of(arguments);
    assertThat(run.exitCode()).as(run.errorText()).isEqualTo(exitCode);
    assertThat(run.err().getFirst()).startsWith(message);
    assertThat(run.err()).hasSizeLessThanOrEqualTo(exitCode == ExitCode.USAGE ? 2 : 1);
    assertThat(run.out()).isEmpty();
  }
}
