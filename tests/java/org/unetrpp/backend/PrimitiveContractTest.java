package org.unetrpp.backend;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.memory.DType;

/** Every primitive of every backend against the reference, through the interface. */
class PrimitiveContractTest {
  /** The cases of one area on every backend there is. */
  @TestInstance(Lifecycle.PER_CLASS)
  abstract static class Contract {
    private final List<ContractCase> cases;

    Contract(List<ContractCase> cases) {
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
      assumeTrue(EmulatedCuda.isPossible(), "needs g++ on an x86-64 Linux");
      try (Backend backend = EmulatedCuda.open(type)) {
        contractCase.requireEqualToReference(backend);
      }
    }
  }

  @Nested
  class Convolutions extends Contract {
    Convolutions() {
      super(ConvolutionCases.all());
    }
  }

  @Nested
  class Normalizations extends Contract {
    Normalizations() {
      super(NormalizationCases.all());
    }
  }

  @Nested
  class Matrices extends Contract {
    Matrices() {
      super(MatrixCases.all());
    }
  }

  @Nested
  class Elements extends Contract {
    Elements() {
      super(ElementCases.all());
    }
  }

  @Nested
  class Losses extends Contract {
    Losses() {
      super(LossCases.all());
    }
  }
}
