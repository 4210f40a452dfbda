package org.unetrpp.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import com.google.gson.JsonArray;
import com.google.gson.JsonParser;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;
import org.unetrpp.backend.Backend;
import org.unetrpp.engine.Device;
import org.unetrpp.engine.Engine;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.NetworkCost;
import org.unetrpp.model.NetworkCost.Mode;
import org.unetrpp.model.NetworkCost.Operator;
import org.unetrpp.model.NetworkCost.Rounding;
import org.unetrpp.model.NetworkState;
import org.unetrpp.nn.Parameters;

/** Each benchmark runs, on networks that are tiny; and what they count is right. */
class BenchmarksTest {
  private static final Set<Operator> PRODUCTS =
      Set.of(
          Operator.CONVOLUTION,
          Operator.LINEAR,
          Operator.MATRIX_PRODUCT,
          Operator.TOKEN_PROJECTION_MATRIX);

  @Test
  void forwardPassesAndTrainingStepsRun() throws RunnerException {
    for (String variant : new String[] {"synapse", "acdc", "lung", "tumor"}) {
      Collection<RunResult> results =
          run(
              once("org.unetrpp.bench.(Forward|TrainingStep)Benchmark")
                  .param("variant", "tiny-" + variant));
      assertThat(results).hasSize(2).allMatch(result -> score(result) > 0);
    }
  }

  @Test
  void aVolumeIsSegmented() throws RunnerException {
    Collection<RunResult> results =
        run(
            once("org.unetrpp.bench.VolumeBenchmark")
                .param("variant", "tiny-acdc")
                .param("extents", "10x40x40"));
    assertThat(results).hasSize(2).allMatch(result -> score(result) > 0);
  }

  @Test
  void everyBoxRunsAndHasItsShareOfPeak(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("boxes.json");
    int boxes = boxes().length;
    for (String variant : new String[] {"synapse", "tumor"}) {
      Collection<RunResult> results =
          run(
              once("org.unetrpp.bench.(Box|Peak)Benchmark")
                  .param("variant", "tiny-" + variant)
                  .param("edge", "128")
                  .param("values", "65536")
                  .resultFormat(ResultFormatType.JSON)
                  .result(file.toString()));
      assertThat(results).hasSize(2 * boxes + 2);
    }
    JsonArray recorded = JsonParser.parseString(Files.readString(file)).getAsJsonArray();
    String table = BoxTable.of(recorded);
    assertThat(table.lines()).hasSize(2 + 2 * boxes + 2);
    assertThat(table.lines().skip(2).limit(2L * boxes))
        .allMatch(line -> line.matches(".* \\| \\d+ % of (arithmetic|memory) \\|"));
    recorded
        .asList()
        .removeIf(result ->
            result
                .getAsJsonObject()
                .get("benchmark")
                .getAsString()
                .endsWith("PeakBenchmark.memory"));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> BoxTable.of(recorded))
        .withMessageContaining("PeakBenchmark.memory with 2 threads is missing");
  }

  /** The boxes' own formulas, summed, against the count of the whole network. */
  @Test
  void multiplyAddsOfTheBoxesAreThoseOfTheNetwork() {
    for (String variant : new String[] {"synapse", "acdc", "tumor"}) {
      Architecture architecture = BenchmarkNetwork.of("tiny-" + variant);
      try (Backend backend = Engine.open(new Device.Cpu(), 1);
          var _ = backend.scopes().open();
          Parameters parameters = NetworkState.deterministic(backend, architecture)) {
        long ofBoxes =
            NetworkBoxCalls.of(architecture, parameters, 1).stream()
                .mapToLong(BoxCall::multiplyAdds)
                .sum();
        long expected =
            NetworkCost.multiplyAdds(architecture, Rounding.EXACT, Mode.EVALUATION)
                .values()
                .stream()
                .flatMap(part -> part.entrySet().stream())
                .filter(entry -> PRODUCTS.contains(entry.getKey()))
                .mapToLong(entry -> entry.getValue())
                .sum();
        assertThat(ofBoxes).isEqualTo(expected);
      }
    }
  }

  @Test
  void noShapeOfTheNetworkIsLeftOut() throws NoSuchFieldException {
    Set<String> measured = Set.of(boxes());
    Architecture architecture = BenchmarkNetwork.of("tiny-synapse");
    try (Backend backend = Engine.open(new Device.Cpu(), 1);
        var _ = backend.scopes().open();
        Parameters parameters = NetworkState.deterministic(backend, architecture)) {
      var calls = NetworkBoxCalls.of(architecture, parameters, 1);
      Set<String> shapes =
          calls.stream()
              .filter(call -> measured.contains(call.name()))
              .map(BoxCall::shape)
              .collect(Collectors.toSet());
      assertThat(calls).extracting(BoxCall::shape).allMatch(shapes::contains);
    }
  }

  private static String[] boxes() throws NoSuchFieldException {
    return BoxBenchmark.class.getField("box").getAnnotation(Param.class).value();
  }

  /** One run of each benchmark, in this process. */
  private static ChainedOptionsBuilder once(String benchmarks) {
    return new OptionsBuilder()
        .include(benchmarks)
        .forks(0)
        .warmupIterations(0)
        .measurementIterations(1)
        .measurementTime(TimeValue.milliseconds(1))
        .shouldFailOnError(true)
        .verbosity(VerboseMode.SILENT);
  }

  private static Collection<RunResult> run(ChainedOptionsBuilder options) throws RunnerException {
    return new Runner(options.build()).run();
  }

  private static double score(RunResult result) {
    return result.getPrimaryResult().getScore();
  }
}
