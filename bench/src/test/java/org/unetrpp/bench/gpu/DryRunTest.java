package org.unetrpp.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code bench/gpu/run} without a GPU. */
class DryRunTest {
  private static final Path RUN = Path.of("gpu/run").toAbsolutePath();

  private static void run(Path out, Map<String, String> environment, String... options)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("python3", RUN.toString()));
    command.addAll(List.of("--out", out.toString()));
    command.addAll(List.of(options));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Process process = builder.start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    assertThat(out.resolve("table.md")).exists();
  }

  private static List<JsonObject> findings(Path out) throws IOException {
    return Files.readAllLines(out.resolve("result.jsonl")).stream()
        .map(line -> JsonParser.parseString(line).getAsJsonObject())
        .toList();
  }

  /** What a dry run says of its steps, after it has said whether all of them fit its time. */
  private static List<JsonObject> steps(Path out) throws IOException {
    List<JsonObject> findings = findings(out);
    JsonObject budget = findings.getFirst();
    assertThat(budget.get("what").getAsString()).isEqualTo("budget");
    assertThat(budget.get("fits").getAsBoolean()).as("%s", budget).isTrue();
    return findings.subList(1, findings.size());
  }

  static boolean hasPython() throws InterruptedException {
    try {
      return new ProcessBuilder("python3", "-c", "import sys; sys.exit(sys.version_info < (3, 9))")
              .start()
              .waitFor()
          == 0;
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void everyStepSaysWhatItWouldMeasure(@TempDir Path out) throws Exception {
    assumeTrue(hasPython(), "needs a python3 of 3.9 or later");
    run(out, Map.of(), "--dry-run");
    assertThat(steps(out))
        .hasSizeGreaterThan(10)
        .allSatisfy(step -> {
          assertThat(step.get("would_measure").getAsString()).isNotBlank();
          assertThat(step.get("budget_seconds").getAsInt()).isPositive();
        })
        .extracting(step -> step.get("step").getAsString())
        .contains("ceilings", "kernel checks", "network checks", "timing", "memory", "goals")
        .doesNotContain("prototypes");
  }

  @Test
  void theFirstRunNeedsNoEngine(@TempDir Path out) throws Exception {
    assumeTrue(hasPython(), "needs a python3 of 3.9 or later");
    run(out, Map.of(), "--dry-run", "--first");
    assertThat(steps(out))
        .extracting(step -> step.get("step").getAsString())
        .containsExactly(
            "environment",
            "ceilings",
            "prototypes",
            "warm-up",
            "timing",
            "torch layers",
            "torch launches",
            "memory");
  }

  /** The steps themselves, where neither the engine nor PyTorch starts. */
  @Test
  void aStepThatFailsStopsNoOther(@TempDir Path out) throws Exception {
    assumeTrue(hasPython(), "needs a python3 of 3.9 or later");
    Path modules = Files.createDirectory(out.resolve("modules"));
    Files.writeString(modules.resolve("torch.py"), "raise ImportError('not here')");
    Map<String, String> environment = Map.of("PYTHONPATH", modules.toString());
    run(out, environment, "--rehearse", "--server", "false");
    assertThat(findings(out))
        .extracting(finding -> finding.get("step").getAsString())
        .contains("environment", "warm-up", "timing", "memory", "counters");
    assertThat(Files.readString(out.resolve("table.md")))
        .contains("kernel checks: skipped, the engine did not start", "torch ended with status 1");
  }
}
