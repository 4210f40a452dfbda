package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.backend.cuda.ComparisonKernels.Difference;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

class ComparisonKernelsTest {
  @BeforeAll
  static void needsCompiler() {
    assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
  }

  @ParameterizedTest(name = "{1} values of {0}")
  @CsvSource({"FLOAT32, 1", "FLOAT32, 257", "FLOAT32, 70001", "BFLOAT16, 33", "BFLOAT16, 66000"})
  void differenceIsThatOfItsDefinition(DType dtype, int count) {
    try (EmulatedContext emulated = new EmulatedContext();
        var _ = emulated.context().scopes().open()) {
      float[] actual = EmulatedContext.random(new Random(1), dtype, count);
      float[] expected = EmulatedContext.random(new Random(2), dtype, count);
      double squares = 0;
      double reference = 0;
      double largest = 0;
      for (int i = 0; i < count; i++) {
        double difference = (double) actual[i] - expected[i];
        squares += difference * difference;
        reference += (double) expected[i] * expected[i];
        largest = Math.max(largest, Math.abs(difference));
      }
      Difference difference =
          new ComparisonKernels(emulated.context())
              .compare(emulated.buffer(dtype, actual), emulated.buffer(dtype, expected));
      assertThat(difference.relative()).isCloseTo(Math.sqrt(squares / reference), within(1e-12));
      // The largest one passes through float32.
      double scaled = largest / Math.sqrt(reference / count);
      assertThat(difference.largest()).isCloseTo(scaled, within(1e-6 * scaled));
    }
  }

  @Test
  void equalResultsDoNotDiffer() {
    try (EmulatedContext emulated = new EmulatedContext();
        var _ = emulated.context().scopes().open()) {
      Buffer zero = emulated.buffer(DType.FLOAT32, 0, 0);
      assertThat(new ComparisonKernels(emulated.context()).compare(zero, zero))
          .isEqualTo(new Difference(0, 0));
    }
  }

  @Test
  void notANumberShows() {
    try (EmulatedContext emulated = new EmulatedContext();
        var _ = emulated.context().scopes().open()) {
      Buffer expected = emulated.buffer(DType.FLOAT32, 1, 2);
      Buffer actual = emulated.buffer(DType.FLOAT32, 1, Float.NaN);
      assertThat(new ComparisonKernels(emulated.context()).compare(actual, expected).relative())
          .isNaN();
    }
  }

  @Test
  void rejectsResultsOfOtherSizes() {
    try (EmulatedContext emulated = new EmulatedContext();
        var _ = emulated.context().scopes().open()) {
      Buffer two = emulated.buffer(DType.FLOAT32, 1, 2);
      Buffer three = emulated.buffer(DType.FLOAT32, 1, 2, 3);
      ComparisonKernels comparison = new ComparisonKernels(emulated.context());
      assertThatThrownBy(() -> comparison.compare(two, three))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("actual");
    }
  }
}
