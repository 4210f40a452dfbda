package org.unetrpp.bench.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

final class ContestantKindTest {
  private static final Launch LAUNCH =
      new Launch(List.of("-Xa"), List.of("-Db=c"), "python3", Path.of("worker.py"));

  private static Comparison.Plan plan(What what, ContestantKind... kinds) {
    Setup setup = new Setup(what, "synapse", Path.of("exports"), 2);
    return new Comparison.Plan(List.of(kinds), setup, LAUNCH, 1, 1, 1, 0, 0, "", "");
  }

  @Test
  void settingsAreThoseOfTheContestantAlone() {
    assertThat(LAUNCH.settings(ContestantKind.ENGINE)).containsExactly("-Db=c");
    assertThat(LAUNCH.settings(ContestantKind.ENGINE_AVX2))
        .containsExactly(
            "ONEDNN_MAX_CPU_ISA=AVX2", "-Dunetrpp.cpu.kernels=onednn", "-XX:UseAVX=2", "-Db=c");
    assertThat(LAUNCH.settings(ContestantKind.ONNXRUNTIME)).isEmpty();
  }

  @Test
  void whoeverIsMeantToRunCanDoIt() {
    for (What what : What.values()) {
      assertThat(ContestantKind.usual(what)).allMatch(kind -> kind.does(what));
    }
  }

  @Test
  void rejectsTrainingWithAnExport() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> plan(What.TRAINING, ContestantKind.ENGINE, ContestantKind.ONNXRUNTIME))
        .withMessageStartingWith("onnxruntime has no training, expected one of [engine, ");
  }

  @Test
  void rejectsUnknownNames() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ContestantKind.of("abacus"))
        .withMessageStartingWith("contestant is abacus, expected one of [engine, ");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> What.of("backward"))
        .withMessage("--what is backward, expected forward, training or all");
  }
}
