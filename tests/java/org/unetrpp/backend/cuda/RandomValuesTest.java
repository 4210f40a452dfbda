package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

class RandomValuesTest {
  @ParameterizedTest(name = "{1} values of {0}")
  @CsvSource({"FLOAT32, 1", "FLOAT32, 65521", "FLOAT32, 200001", "BFLOAT16, 65522"})
  void everyValueIsWrittenAndTheSameForASeed(DType dtype, int count) {
    try (EmulatedContext emulated = new EmulatedContext();
        var _ = emulated.context().scopes().open()) {
      RandomValues random = new RandomValues(emulated.context());
      float[] values = EmulatedContext.values(random.allocate(dtype, count, 1));
      float sum = 0;
      for (float value : values) {
        assertThat(Math.abs(value)).isLessThanOrEqualTo(1);
        sum += value;
      }
      assertThat(Math.abs(sum / count)).isLessThan(3 / (float) Math.sqrt(count));
      Buffer again = random.allocate(dtype, count, 1);
      assertThat(EmulatedContext.values(again)).isEqualTo(values);
      random.fill(again, 2);
      assertThat(EmulatedContext.values(again)).isNotEqualTo(values);
    }
  }
}
