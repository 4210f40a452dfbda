package org.unetrpp.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code bench/gpu/predictions.py}: measured times in the table of predictions. */
class PredictionsTest {
  private static final Path GPU = Path.of("gpu").toAbsolutePath();
  private static final String TABLE =
      """
      # Kernels

      | kernel | network | shape (batch x D x H x W) | MB | blocks | prediction us | measured us |
      | --- | --- | --- | ---: | ---: | ---: | --- |
      | conv_bf16 | synapse, tumor | 1 x 8x8x8 | 0.3 | 128 | 5 | none yet |
      | conv_bf16 | synapse, tumor | 8 x 8x8x8 | 2.4 | 256 | 14 | none yet |
      | conv_bf16 | acdc | 1 x 4x10x10 | 0.3 | 100 | 7 | 9.0 (1.29 times) |

      What follows stays.

      | pass | batch | launches | prediction us | measured us |
      | --- | ---: | ---: | ---: | --- |
      | synapse | 8 | 117 | 100 | none yet |
      | acdc | 1 | 159 | 50 | none yet |
      """;
  private static final String KERNELS =
      """
      network,task,batch,kernel,grid,threads,shared,launches,us
      synapse,forward,1,conv_bf16,8x4x4,128,0,6,36
      tumor,forward,1,conv_bf16,128x1x1,128,0,2,12
      synapse,forward,8,conv_bf16,8x4x4,128,0,6,90
      """;

  @TempDir private Path folder;

  private String updated(String table, String kernels) throws IOException, InterruptedException {
    Path csv = Files.writeString(folder.resolve("kernels.csv"), kernels);
    Path markdown = Files.writeString(folder.resolve("predictions.md"), table);
    Process process =
        new ProcessBuilder(
                "python3",
                GPU.resolve("predictions.py").toString(),
                csv.toString(),
                markdown.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    return Files.readString(markdown);
  }

  @Test
  void measuredTimesGoToTheRowsOfTheirNetworkShapeAndBlocks() throws Exception {
    assumeTrue(DryRunTest.hasPython(), "needs a python3 of 3.9 or later");
    String once = updated(TABLE, KERNELS);
    assertThat(once.lines())
        .contains(
            "| conv_bf16 | synapse, tumor | 1 x 8x8x8 | 0.3 | 128 | 5 | 6.0 (1.20 times) |",
            "| conv_bf16 | synapse, tumor | 8 x 8x8x8 | 2.4 | 256 | 14 | none yet |",
            "| conv_bf16 | acdc | 1 x 4x10x10 | 0.3 | 100 | 7 | 9.0 (1.29 times) |",
            "What follows stays.",
            "| synapse | 8 | 117 | 100 | 90.0 (0.90 times) |",
            "| acdc | 1 | 159 | 50 | none yet |",
            "## Measured, not predicted",
            "| conv_bf16 | synapse | 8 | 128 | 6 | 90.0 |");
    assertThat(updated(once, KERNELS)).isEqualTo(once);
  }

  /**
   * The runner finds these columns in each of its tables, and every row has a number to compare.
   */
  @Test
  void theKeptTableIsOneThatTheRunnerCanFill() throws Exception {
    assumeTrue(DryRunTest.hasPython(), "needs a python3 of 3.9 or later");
    String kept = Files.readString(Path.of("results/gpu/predictions.md"));
    String ofNothing = KERNELS.substring(0, KERNELS.indexOf('\n') + 1);
    assertThat(updated(kept, ofNothing)).isEqualTo(kept);
    List<String> rows =
        kept.lines().filter(line -> line.matches("\\| [a-z]+_[^|]*\\|[^|]*\\| [18] x .*")).toList();
    assertThat(rows).hasSizeGreaterThan(100).allMatch(row -> row.split("\\|", -1).length == 14);
  }
}
