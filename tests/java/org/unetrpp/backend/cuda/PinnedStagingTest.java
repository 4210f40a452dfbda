package org.unetrpp.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.cuda.driver.CudaDriver;
import org.unetrpp.memory.Buffer;
import org.unetrpp.memory.DType;
import org.unetrpp.nn.DeterministicTensor;

/** Copies through pinned memory, on a device that copies as late as it may. */
class PinnedStagingTest {
  private static final int SLOT = (int) PinnedStaging.SLOT_BYTES;

  @ParameterizedTest(name = "{0} bytes")
  @ValueSource(ints = {0, 1, 100, SLOT, SLOT + 1, 2 * SLOT, 5 * SLOT + 13})
  void bytesOfAnySizeGoThereAndBack(int bytes) {
    byte[] values = new byte[bytes];
    for (int i = 0; i < bytes; i++) {
      values[i] = (byte) (i * 31 + i / SLOT);
    }
    try (EmulatedDriver driver = EmulatedDriver.late(1 << 26)) {
      CudaDriver.Stream stream = driver.createStream();
      PinnedStaging staging = new PinnedStaging(driver, stream);
      long device = driver.allocate(bytes);
      byte[] back = new byte[bytes];
      for (int repetition = 0; repetition < 2; repetition++) {
        staging.toDevice(
            device,
            bytes,
            (slot, offset) -> slot.asByteBuffer().put(values, (int) offset, (int) slot.byteSize()));
        Arrays.fill(back, (byte) -1);
        staging.toHost(
            device,
            bytes,
            (slot, offset) -> slot.asByteBuffer().get(back, (int) offset, (int) slot.byteSize()));
        assertThat(Arrays.mismatch(back, values)).isEqualTo(-1);
      }
      assertThat(driver.pinnedBlocks()).isEqualTo(bytes == 0 ? 0 : 2);
      staging.close();
      assertThat(driver.pinnedBlocks()).isZero();
    }
  }

  @Test
  void aSlotIsNotWrittenBeforeItsCopyIsDone() {
    try (EmulatedDriver driver = EmulatedDriver.late(1 << 20);
        PinnedStaging staging = new PinnedStaging(driver, driver.createStream())) {
      long device = driver.allocate(10);
      for (byte number = 0; number < 10; number++) {
        byte value = number;
        staging.toDevice(device + number, 1, (slot, _) -> slot.set(JAVA_BYTE, 0, value));
      }
      staging.toHost(
          device,
          10,
          (slot, _) ->
              assertThat(slot.toArray(JAVA_BYTE)).containsExactly(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    }
  }

  @ParameterizedTest(name = "{0} values as {1}")
  @CsvSource({"1, FLOAT32", "1, BFLOAT16", "3000001, FLOAT32", "3000001, BFLOAT16"})
  void aBackendCopiesThroughIt(int count, DType type) {
    float[] values = DeterministicTensor.values("staged", count, 0, 1);
    float[] expected = values.clone();
    for (int i = 0; i < count && type == DType.BFLOAT16; i++) {
      expected[i] = BFloat16.toFloat(BFloat16.fromFloat(values[i]));
    }
    EmulatedDriver driver = EmulatedDriver.late(1 << 26);
    try (CudaBackend backend = new CudaBackend(driver, type);
        var _ = backend.scopes().open()) {
      Buffer buffer = backend.scopes().allocate(type, count);
      backend.upload(values, buffer);
      values[0] = Float.NaN; // has been read
      float[] back = backend.download(buffer);
      assertThat(Arrays.mismatch(back, expected)).isEqualTo(-1);
    }
    assertThat(driver.pinnedBlocks()).isZero();
  }
}
