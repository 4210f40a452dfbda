package org.unetrpp.backend;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.memory.DType;

/** Cases of one area, held against the reference on every backend there is. */
@TestInstance(Lifecycle.PER_CLASS)
abstract class BackendContract {
  private final List<ContractCase> cases;

  BackendContract(List<ContractCase> cases) {
    this.cases = cases;
  }

  List<ContractCase> cases() {
    return cases;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void resultsOnTheCpuAreThoseOfTheReference(ContractCase contractCase) {
    try (Backend backend = CpuBackend.composed(3)) {
      contractCase.requireEqualToReference(backend);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void resultsOnCudaInFloat32AreThoseOfTheReference(ContractCase contractCase) {
    requireEqualToReferenceOnCuda(contractCase, DType.FLOAT32);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void resultsOnCudaInBfloat16AreThoseOfTheReference(ContractCase contractCase) {
    requireEqualToReferenceOnCuda(contractCase, DType.BFLOAT16);
  }

  private static void requireEqualToReferenceOnCuda(ContractCase contractCase, DType type) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (Backend backend = EmulatedCuda.open(type)) {
      contractCase.requireEqualToReference(backend);
    }
  }
}
