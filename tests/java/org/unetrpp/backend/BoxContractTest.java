package org.unetrpp.backend;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cuda.EmulatedCuda;

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

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void boxesOnTensorCoresAreThoseOfTheReference(ContractCase contractCase) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (Backend backend = EmulatedCuda.openOnTensorCores(false)) {
      contractCase.requireEqualToReference(backend);
    }
  }
}
