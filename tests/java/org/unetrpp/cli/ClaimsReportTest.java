package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.benchmark.NetworkSize;
import org.unetrpp.benchmark.PublishedNetwork;
import org.unetrpp.benchmark.PublishedTable;
import org.unetrpp.benchmark.Spread;
import org.unetrpp.testing.CommandRun;

class ClaimsReportTest {
  @TempDir Path folder;

  private static ClaimsReport report() {
    List<ClaimsReport.Measured> measured =
        PublishedNetwork.names().stream()
            .map(name -> PublishedNetwork.of(name).orElseThrow())
            .map(network ->
                new ClaimsReport.Measured(
                    network, NetworkSize.of(network.architecture()), new Spread(0.5, 0.25, 0.75)))
            .toList();
    return new ClaimsReport("cpu: a, b", "fp32", 0.25, measured, PublishedTable.all());
  }

  @Test
  void tableHoldsThePublishedFiguresBesideThoseHere() {
    List<String> lines = report().markdown().lines().toList();
    assertThat(lines)
        .contains(
            "| synapse | 1x64x128x128 | 42.95 | 42.96 (here -0.02 %) | 47.89 | 47.98 (here -0.20 %)"
                + " | 0.500 s (0.250 to 0.750) | - | - |",
            "| tumor | 4x128x128x128 | 42.65 | 42.6 (here +0.11 %) | 73.55 | 70.1 (here +4.92 %)"
                + " | 0.500 s (0.250 to 0.750) | 1.50 | 0.0624 |",
            "| UNETR++ | 42.6 | 70.1 | 2.4 | 62.4 | 1497.7 | 82.8 |",
            "| UNETR++ | 90.73 | 91.47 | 86.47 | 94.25 |",
            "| UNETR++ | 92.83 | 91.89 | 90.61 | 96.00 |",
            "| SwinUNETR | 75.55 |")
        .anyMatch(line -> line.startsWith("| nnFormer | 150.50 | 213.40 | 10.63 | 86.57 | 90.51 |"))
        .anyMatch(line -> line.contains("Other processes took 25 %"));
  }

  @Test
  void everyRowHasTheCellsOfItsHeading() {
    int columns = 0;
    for (String line : report().markdown().lines().toList()) {
      int cells = line.startsWith("|") ? line.split("\\|", -1).length : 0;
      assertThat(cells == 0 || columns == 0 || cells == columns).as(line).isTrue();
      columns = cells;
    }
  }

  @Test
  void countsAreThoseOfInfo() {
    JsonObject json = JsonParser.parseString(report().json()).getAsJsonObject();
    assertThat(json.getAsJsonArray("networks")).hasSize(5);
    for (JsonElement element : json.getAsJsonArray("networks")) {
      JsonObject network = element.getAsJsonObject();
      JsonObject info =
          JsonParser.parseString(
                  CommandRun.of("info", network.get("network").getAsString(), "--json").text())
              .getAsJsonObject();
      for (String figure : List.of("parameters", "multiply_adds")) {
        assertThat(network.get(figure).getAsLong())
            .isEqualTo(info.getAsJsonObject(figure).get("total").getAsLong());
      }
    }
    assertThat(json.getAsJsonArray("published")).hasSize(6);
  }

  @Test
  void csvHasALineForEachFigureAndItsSource() {
    List<String> lines = report().csv().lines().toList();
    assertThat(lines.getFirst()).isEqualTo("data,variant,method,figure,class,value,unit,source");
    assertThat(lines)
        .contains(
            "BraTS,tumor,UNETR++,CPU time,,1497.7,ms,\"Shaker et al., results on BraTS, as the"
                + " project's web site shows them\"",
            ",tumor,UNETR++,multiply-adds,,73.545877192,G,counted by this program",
            ",tumor,UNETR++,median time,,500,ms,\"measured on cpu: a, b, fp32\"")
        .anyMatch(line -> line.startsWith("ACDC,acdc,UNETR++,Dice,myocardium,86.47,%,"))
        .anyMatch(line -> line.startsWith("ACDC,acdc,UNETR++,Dice,myocardium,90.61,%,"));
    for (String line : lines) {
      assertThat(line.replaceAll("\"[^\"]*\"", "").split(",", -1)).as(line).hasSize(8);
    }
  }

  /** Runs five full networks. */
  @Tag("slow")
  @Test
  void commandMeasuresAllNetworksAndWritesThreeFiles() throws IOException {
    CommandRun run =
        CommandRun.of("benchmark", "--claims", "--device", "cpu", "--passes", 1, "-o", folder);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out().getFirst()).isEqualTo("# UNETR++: published figures and this machine");
    assertThat(Files.readString(folder.resolve("claims.md")).lines().toList()).isEqualTo(run.out());
    assertThat(folder.resolve("claims.csv")).isNotEmptyFile();
    JsonObject json =
        JsonParser.parseString(Files.readString(folder.resolve("claims.json"))).getAsJsonObject();
    assertThat(json.getAsJsonArray("networks")).hasSize(5);
  }

  @Test
  void optionsThatDoNotGoTogetherAreRefused() {
    assertUsage("--output is for the tables of --claims, expected both", "-o", folder);
    assertUsage(
        "--training has no published figures, expected no --claims", "--claims", "--training");
    assertUsage("--variant=V, --claims are mutually exclusive", "--claims", "--variant", "acdc");
  }

  private static void assertUsage(String message, Object... options) {
    Object[] arguments = new Object[options.length + 1];
    arguments[0] = "benchmark";
    System.arraycopy(options, 0, arguments, 1, options.length);
    CommandRun run = CommandRun.of(arguments);
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.errorText()).contains(message);
  }
}
