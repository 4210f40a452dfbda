package org.unetrpp.backend;

import org.junit.jupiter.api.Nested;

/** Every primitive of every backend against the reference, through the interface. */
class PrimitiveContractTest {
  @Nested
  class Convolutions extends BackendContract {
    Convolutions() {
      super(ConvolutionCases.all());
    }
  }

  @Nested
  class Normalizations extends BackendContract {
    Normalizations() {
      super(NormalizationCases.all());
    }
  }

  @Nested
  class Matrices extends BackendContract {
    Matrices() {
      super(MatrixCases.all());
    }
  }

  @Nested
  class Elements extends BackendContract {
    Elements() {
      super(ElementCases.all());
    }
  }

  @Nested
  class Losses extends BackendContract {
    Losses() {
      super(LossCases.all());
    }
  }
}
