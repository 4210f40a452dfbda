package org.unetrpp.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.memory.DeviceMemoryException;

/** Memory of a device for results and for what is packed from weights. */
class DeviceMemoryTest {
  private static final long MEMORY = 1 << 20;

  private final EmulatedDriver driver = new EmulatedDriver(MEMORY);
  private final AtomicInteger packed = new AtomicInteger();

  @BeforeAll
  static void needsMemoryProtection() {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
  }

  private DeviceMemory memory(boolean pooled) {
    return pooled ? DeviceMemory.pooled(driver) : DeviceMemory.unpooled(driver);
  }

  private static Buffer weight(DeviceMemory memory) {
    return new Buffer(memory.allocate(400), DType.FLOAT32, 100);
  }

  private long pack(DeviceMemory memory, Buffer weight) {
    return memory.packs().get("rows", List.of(weight), 400, _ -> packed.incrementAndGet());
  }

  @ParameterizedTest(name = "pooled {0}")
  @ValueSource(booleans = {false, true})
  void packsAreNoResults(boolean pooled) {
    try (DeviceMemory memory = memory(pooled)) {
      Buffer weight = weight(memory);
      long used = memory.bytesInUse();
      pack(memory, weight);
      assertThat(memory.bytesInUse()).isEqualTo(used);
      assertThat(driver.freeBytes()).isLessThanOrEqualTo(MEMORY - used - 400);
      memory.release(weight.address(), weight.bytes());
      assertThat(memory.bytesInUse()).isZero();
    }
    assertThat(driver.freeBytes()).isEqualTo(MEMORY);
  }

  @ParameterizedTest(name = "pooled {0}")
  @ValueSource(booleans = {false, true})
  void aReleasedWeightLosesItsPacks(boolean pooled) {
    try (DeviceMemory memory = memory(pooled)) {
      for (int i = 1; i <= 3; i++) {
        Buffer weight = weight(memory);
        long address = pack(memory, weight);
        assertThat(pack(memory, weight)).isEqualTo(address);
        assertThat(packed).hasValue(i);
        memory.release(weight.address(), weight.bytes());
      }
    }
  }

  @Test
  void packsDieWithTheMemory() {
    DeviceMemory memory = DeviceMemory.unpooled(driver);
    Buffer weight = weight(memory);
    pack(memory, weight);
    memory.close();
    assertThat(driver.freeBytes()).isEqualTo(MEMORY - 400); // the weight's, which nobody released
  }

  @Test
  void pooledMemoryIsHandedOutAgain() {
    try (DeviceMemory memory = DeviceMemory.pooled(driver)) {
      long first = memory.allocate(1000);
      memory.release(first, 1000);
      long held = driver.freeBytes();
      assertThat(memory.allocate(700)).isEqualTo(first);
      assertThat(driver.freeBytes()).isEqualTo(held);
      memory.release(first, 700);
    }
    assertThat(driver.freeBytes()).isEqualTo(MEMORY);
  }

  @Test
  void forgottenResultsAreReportedAndFreed() {
    DeviceMemory memory = DeviceMemory.pooled(driver);
    memory.allocate(1000);
    assertThatThrownBy(memory::close)
        .isInstanceOf(DeviceMemoryException.class)
        .hasMessage("1024 bytes of memory of emulated device were never released");
    assertThat(driver.freeBytes()).isEqualTo(MEMORY);
  }

  @Test
  void memoryThatIsFullSaysWhatHoldsIt() {
    try (DeviceMemory memory = DeviceMemory.pooled(driver)) {
      long address = memory.allocate(MEMORY / 2);
      assertThatThrownBy(() -> memory.allocate(MEMORY))
          .isInstanceOf(DeviceMemoryException.class)
          .hasMessage(
              "no memory of the device for %d bytes; %d of %d are free; %d bytes are in use, %d are"
                  + " held",
              MEMORY, MEMORY / 2, MEMORY, MEMORY / 2, MEMORY / 2);
      memory.release(address, MEMORY / 2);
    }
  }
}
