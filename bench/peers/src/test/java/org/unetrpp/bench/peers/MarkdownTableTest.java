package org.unetrpp.bench.peers;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.unetrpp.benchmark.Spread;

final class MarkdownTableTest {
  private static final Results.Pass QUIET = new Results.Pass(2, 4, 7, 0, 0, 0, 0, 1.25, true);
  private static final Results.Pass LOADED = new Results.Pass(5, 4, 7, 0, 0, 0, 6, 2.5, true);

  private static Results results(int foreignProcesses) {
    boolean loaded = foreignProcesses > 0;
    Results.Entry entry =
        new Results.Entry(
            "engine-avx2",
            "1.0",
            List.of("A=B", "-Dc=d"),
            1e-6,
            1e-7,
            1L << 30,
            3L << 30,
            2,
            2,
            4,
            7,
            loaded ? 5.0 : null,
            loaded ? new Spread(2.5, 2.25, 2.75) : null,
            List.of(QUIET),
            List.of(QUIET),
            loaded ? List.of(LOADED) : List.of());
    return new Results(
        "training",
        "abc",
        "run it",
        "2026-01-01T00:00:00Z",
        new Results.Machine("CPU", 2, 1, "Linux"),
        "Java",
        List.of(),
        "acdc",
        4,
        2,
        0.05,
        foreignProcesses,
        1,
        false,
        List.of(entry),
        List.of(new Results.Ratio("b", "a", 1.5, 1.25, 1.75)));
  }

  @Test
  void saysWhatWasLimitedAndHowLoadedTheMachineWas() {
    assertThat(MarkdownTable.of(results(2)))
        .startsWith("acdc, float32, training step with a batch of 4, 2 threads; CPU, 2 processors;")
        .contains(
            "Figures are of the 1 of 1 rounds that were free of foreign load;"
                + " load average 1.3 to 2.5.",
            "\nengine-avx2: `A=B -Dc=d`.",
            "| engine-avx2 (1.0) | 2.000 | 2.000 | 4.00 | 7 | 2.000 | 1.00 | 3.00 | 1.0e-06 |",
            "| b / a | 1.50 | 1.25 to 1.75 |",
            "| beside 2 busy processes | ",
            "| engine-avx2 | 5.000 | 2.50 | 2.25 to 2.75 |");
  }

  @Test
  void withoutForeignProcessesNothingIsSlowedDown() {
    assertThat(MarkdownTable.of(results(0))).doesNotContain("busy processes");
  }
}
