package org.unetrpp.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.unetrpp.backend.cpu.Case.assertClose;
import static org.unetrpp.backend.cpu.Case.doubles;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.MemoryScope;

/** What the CPU backend says of its primitives beyond what every backend does. */
class CpuPrimitivesTest {
  private static CpuBackend backend;
  private MemoryScope scope;
  private Case random;

  @BeforeAll
  static void open() {
    backend = CpuBackend.composed(3);
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // release closes it
  void openScope() {
    scope = backend.scopes().open();
    random = new Case(backend, 7);
  }

  @AfterEach
  void release() {
    scope.close();
    assertThat(backend.allocator().bytesInUse()).isZero();
  }

  @Test
  void softmaxOfLongRows() {
    float[] x = random.values(2 * 70_000, 4);
    Buffer y = random.upload(x);
    backend.softmax(y, y, 70_000);
    double[] expected = doubles(x);
    for (int start = 0; start < expected.length; start += 70_000) {
      double sum = 0;
      for (int i = start; i < start + 70_000; i++) {
        expected[i] = Math.exp(expected[i]);
        sum += expected[i];
      }
      for (int i = start; i < start + 70_000; i++) {
        expected[i] /= sum;
      }
    }
    assertClose(backend.download(y), expected, 1e-5); // sums of 70,000 roundings
  }

  @Test
  void rejectsValuesOfAnotherCount() {
    Buffer buffer = random.poisoned(10);
    assertThatThrownBy(() -> backend.upload(new float[9], buffer))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("36 bytes of values for a buffer of 40");
  }

  @Test
  void rejectsABufferOfAnotherType() {
    Buffer buffer = backend.scopes().allocate(DType.BFLOAT16, 10);
    assertThatThrownBy(() -> backend.download(buffer))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("BFLOAT16");
  }
}
