package org.unetrpp.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.backend.Backend;
import org.unetrpp.memory.DType;

class EngineTest {
  @Test
  void devicesHaveNames() {
    assertThat(Device.of("cpu")).isEqualTo(new Device.Cpu());
    assertThat(Device.of("cuda")).isEqualTo(new Device.Cuda(0));
    assertThat(Device.of("cuda:12")).isEqualTo(new Device.Cuda(12));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:x", "cuda:1234"})
  void otherNamesAreRefused(String name) {
    assertThatThrownBy(() -> Device.of(name))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("device '%s' is unknown, expected auto, cpu, cuda or cuda:N", name);
  }

  @Test
  void bestDeviceCanBeOpened() {
    try (Backend backend = Engine.open(Device.of("auto"), 1)) {
      assertThat(backend.computeType()).isEqualTo(DType.FLOAT32);
    }
  }

  @Test
  void deviceThatIsNotThereIsToldByItsName() {
    assertThatThrownBy(() -> Engine.open(new Device.Cuda(999), 1))
        .isInstanceOf(DeviceUnavailableException.class)
        .hasMessageStartingWith("cuda:999: ");
  }

  @Test
  void processorComputesInFloat32Only() {
    assertThatThrownBy(() -> Engine.open(new Device.Cpu(), 1, DType.BFLOAT16))
        .isInstanceOf(DeviceUnavailableException.class)
        .hasMessageStartingWith("cpu: computes in fp32 only");
  }

  @Test
  void reportTellsOfBothKindsOfDevices() {
    assertThat(Engine.report())
        .anyMatch(line -> line.startsWith("cpu: usable, "))
        .anyMatch(line -> line.matches("cuda(:0: usable, .+|:0: not usable: .+|: not usable: .+)"));
  }
}
