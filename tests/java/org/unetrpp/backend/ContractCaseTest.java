package org.unetrpp.backend;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.Buffer;

/** What the contract of all backends finds out, on a backend that is wrong on purpose. */
class ContractCaseTest {
  private static final int COUNT = 100_001;

  /** Does something wrong to a buffer, except on the reference. */
  @FunctionalInterface
  private interface Mistake {
    void apply(Backend backend, Buffer buffer);
  }

  private static void check(Mistake mistake) {
    ContractCase contractCase =
        new ContractCase(
            "values",
            (backend, v) -> {
              v.activations(1);
              Buffer inside = v.activations(COUNT); // every second buffer is part of another
              if (!(backend instanceof ReferenceBackend)) {
                mistake.apply(backend, inside);
              }
              v.result("x", inside);
            });
    try (Backend backend = CpuBackend.composed(1)) {
      contractCase.requireEqualToReference(backend);
    }
  }

  private static Mistake change(int element, float to) {
    return (backend, buffer) -> backend.upload(new float[] {to}, buffer.slice(element, 1));
  }

  @Test
  void valuesOfTheReferencePass() {
    assertThatCode(() -> check((_, _) -> {})).doesNotThrowAnyException();
  }

  @Test
  void oneWrongValueAmongManyIsFound() {
    assertThatThrownBy(() -> check(change(COUNT - 1, 0.25f)))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("x in FLOAT32: relative error")
        .hasMessageContaining("element 100000 of 100001 is 0.25");
  }

  @Test
  void aValueThatIsNoNumberIsFound() {
    assertThatThrownBy(() -> check(change(7, Float.NaN)))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("element 7 of 100001 is NaN");
  }

  @Test
  void valuesWrittenBesideABufferAreFound() {
    for (int beside : new int[] {-1, COUNT, COUNT + 2}) {
      Mistake mistake =
          (backend, buffer) -> {
            long address = buffer.address() + (long) beside * Float.BYTES;
            backend.upload(new float[1], new Buffer(address, buffer.dtype(), 1));
          };
      assertThatThrownBy(() -> check(mistake))
          .isInstanceOf(AssertionError.class)
          .hasMessageContaining("places from the end of a buffer");
    }
  }

  @Test
  void resultsThatAreNotTheSameBytesAgainAreFound() {
    int[] run = new int[1];
    Mistake mistake =
        (backend, buffer) -> {
          float value = backend.download(buffer)[0];
          backend.upload(
              new float[] {run[0]++ == 0 ? value : Math.nextUp(value)}, buffer.slice(0, 1));
        };
    assertThatThrownBy(() -> check(mistake))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("x, run again");
  }

  @Test
  void memoryThatIsNotReleasedIsFound() {
    Mistake mistake = (backend, _) -> backend.allocator().allocate(100);
    assertThatThrownBy(() -> check(mistake)).hasMessageContaining("bytes in use afterwards");
  }
}
