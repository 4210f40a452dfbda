package org.unetrpp.bench.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

final class ProcFilesTest {
  @Test
  void readsFaultsAndTimeBehindANameWithBlanks() {
    ProcFiles.ProcessUse use =
        ProcFiles.parseProcess("42 (a (b) c) S 1 42 42 0 -1 4194304 700 0 3 0 150 50 0 0 20 0 8 0");

    assertThat(use).isEqualTo(new ProcFiles.ProcessUse(700, 3, 2));
  }

  @Test
  void idleTimeAndStolenTimeAreNotBusy() {
    ProcFiles.MachineUse use =
        ProcFiles.parseMachine("cpu  100 200 300 9999 8888 50 50 400 7 7\ncpu0 1 1 1 1 1 1 1 1\n");

    assertThat(use).isEqualTo(new ProcFiles.MachineUse(7, 4));
  }

  @Test
  void rejectsAnotherFile() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ProcFiles.parseMachine("intr 1 2 3"))
        .withMessageContaining("expected a line 'cpu'");
  }
}
