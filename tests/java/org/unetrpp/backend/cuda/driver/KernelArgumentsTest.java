package org.unetrpp.backend.cuda.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;

class KernelArgumentsTest {
  private final KernelArguments arguments = new KernelArguments();

  @Test
  void valuesLieEightBytesApartInTheirOrder() {
    arguments
        .start()
        .buffers(new Buffer(1L << 40, DType.FLOAT32, 3), null)
        .ints(-7)
        .longs(1L << 33)
        .floats(0.5f)
        .doubles(-0.25);
    assertThat(arguments.count()).isEqualTo(6);
    assertThat(arguments.values().getLong(0)).isEqualTo(1L << 40);
    assertThat(arguments.values().getLong(8)).isZero();
    assertThat(arguments.values().getInt(16)).isEqualTo(-7);
    assertThat(arguments.values().getLong(24)).isEqualTo(1L << 33);
    assertThat(arguments.values().getFloat(32)).isEqualTo(0.5f);
    assertThat(arguments.values().getDouble(40)).isEqualTo(-0.25);
  }

  @Test
  void addressesAreThoseOfTheValues() {
    long first = MemorySegment.ofBuffer(arguments.values()).address();
    for (int i = 0; i < 48; i++) {
      assertThat(arguments.addresses().getLong(8 * i)).isEqualTo(first + 8L * i);
    }
  }

  @Test
  void aNewListBeginsAtTheFirstPlace() {
    arguments.start().ints(1, 2, 3);
    arguments.start().ints(4);
    assertThat(arguments.count()).isEqualTo(1);
    assertThat(arguments.values().getInt(0)).isEqualTo(4);
  }

  @Test
  void refusesMoreThanAKernelTakes() {
    arguments.start().ints(new int[48]);
    assertThatThrownBy(() -> arguments.ints(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("a kernel takes at most 48 arguments");
  }
}
