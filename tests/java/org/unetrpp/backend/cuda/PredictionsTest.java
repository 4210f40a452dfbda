package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.HeadOutput;
import org.unetrpp.backend.cuda.CountingCuda.Launch;
import org.unetrpp.memory.DType;
import org.unetrpp.model.Architecture;
import org.unetrpp.model.ForwardPlan;
import org.unetrpp.model.NetworkState;

/** Whether {@code bench/results/gpu/predictions.md} speaks of the launches that there are. */
class PredictionsTest {
  private static final Path TABLE = Path.of("../bench/results/gpu/predictions.md");

  /**
   * A row of kernels.
   *
   * @param networks whose launches they are, and at which batch
   * @param micros predicted for one launch
   */
  private record Kernel(List<String> networks, int batch, Launch launch, double micros) {}

  private static List<List<String>> rows(String firstColumn) throws IOException {
    List<List<String>> rows = new ArrayList<>();
    boolean wanted = false;
    for (String line : Files.readAllLines(TABLE)) {
      List<String> cells = Arrays.stream(line.split("\\|", -1)).map(String::strip).toList();
      if (!line.startsWith("|")) {
        wanted = false;
      } else if (cells.contains("measured us")) {
        wanted = cells.get(1).equals(firstColumn);
      } else if (wanted && !cells.get(1).startsWith("---")) {
        rows.add(cells.subList(1, cells.size() - 1));
      }
    }
    return rows;
  }

  private static List<Kernel> kernels() throws IOException {
    return rows("kernel").stream()
        .map(row ->
            new Kernel(
                List.of(row.get(1).split(", ", -1)),
                Integer.parseInt(row.get(2).substring(0, row.get(2).indexOf(' '))),
                new Launch(row.get(0), Long.parseLong(row.get(8))),
                Double.parseDouble(row.get(10))))
        .toList();
  }

  @ParameterizedTest(name = "{0}, batch {1}")
  @CsvSource({"synapse, 1", "synapse, 8", "acdc, 1", "lung, 1", "tumor, 1"})
  void everyLaunchOfAPassIsPredicted(String network, int batch) throws IOException {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    Map<Launch, Double> predicted = new TreeMap<>();
    for (Kernel row : kernels()) {
      if (row.networks.contains(network) && row.batch == batch) {
        assertThat(predicted.put(row.launch, row.micros)).as("%s twice", row.launch).isNull();
      }
    }
    Map<Launch, Integer> launches = launches(network, batch);
    assertThat(predicted.keySet())
        .as("rows of %s of batch %d, whose launches are %s", network, batch, launches)
        .containsExactlyElementsOf(launches.keySet());
    double micros = 0;
    int count = 0;
    for (Map.Entry<Launch, Integer> launch : launches.entrySet()) {
      micros += launch.getValue() * predicted.getOrDefault(launch.getKey(), Double.NaN);
      count += launch.getValue();
    }
    assertThat(rows("pass").stream().map(row -> row.subList(0, 4)))
        .contains(
            List.of(
                network, String.valueOf(batch), String.valueOf(count), "%.0f".formatted(micros)));
  }

  private static Map<Launch, Integer> launches(String network, int batch) {
    Architecture architecture = Architecture.published(network).orElseThrow();
    CountingCuda counting = new CountingCuda();
    try (CudaBackend backend = counting.open(DType.BFLOAT16);
        ForwardPlan plan =
            new ForwardPlan(
                architecture,
                NetworkState.deterministic(backend, architecture),
                batch,
                HeadOutput.LOGITS)) {
      assertThat(plan.arenaBytes()).isPositive();
    }
    return counting.launches();
  }
}
