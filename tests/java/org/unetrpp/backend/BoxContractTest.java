package org.unetrpp.backend;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.cpu.CpuBackend;

/** Every box of every backend against the reference. */
class BoxContractTest extends BackendContract {
  BoxContractTest() {
    super(BoxCases.all());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void fusedBoxesOnTheCpuAreThoseOfTheReference(ContractCase contractCase) {
    try (Backend backend = new CpuBackend(2)) {
      contractCase.requireEqualToReference(backend);
    }
  }
}
