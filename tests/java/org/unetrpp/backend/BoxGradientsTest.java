package org.unetrpp.backend;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.cpu.CpuBackend;
import org.unetrpp.backend.cuda.CudaBackend;
import org.unetrpp.backend.cuda.EmulatedCuda;
import org.unetrpp.backend.reference.ReferenceBackend;
import org.unetrpp.memory.DType;
import org.unetrpp.testing.Branches;

/**
 * Gradients of every box, dropout included: on the reference backend against central differences,
 * on the others against the reference.
 */
class BoxGradientsTest {
  /** Rounding of sums near 10, 2e-15, over twice the step, 8e-6: below 1e-9; the rest is kinks. */
  private static final double TOLERANCE = 1e-5;

  /** A few dozen roundings to float32, 6e-8 each, in every sum's terms. */
  private static final double FLOAT_TOLERANCE = 5e-6;

  /** Activations and their gradients rounded to 8 bits some dozen times, 1.5e-3 on average. */
  private static final double BFLOAT16_TOLERANCE = 2e-2;

  static Stream<String> boxes() {
    return BoxGradientCases.all().keySet().stream();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("boxes")
  void gradientsOfTheReferenceAreCentralDifferences(String box) {
    Objects.requireNonNull(BoxGradientCases.all().get(box)).requireCentralDifferences(TOLERANCE);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("boxes")
  void gradientsOnTheCpuAreThoseOfTheReference(String box) {
    try (Backend backend = new CpuBackend(2)) {
      Objects.requireNonNull(BoxGradientCases.all().get(box))
          .requireEqualToReference(backend, FLOAT_TOLERANCE);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("boxes")
  void gradientsOfComposedBoxesOnTheCpuAreThoseOfTheReference(String box) {
    try (Backend backend = CpuBackend.composed(2)) {
      Objects.requireNonNull(BoxGradientCases.all().get(box))
          .requireEqualToReference(backend, FLOAT_TOLERANCE);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("boxes")
  void gradientsOnTheCpuAreTheSameBytesForAnyNumberOfThreads(String box) {
    GradientCase check = Objects.requireNonNull(BoxGradientCases.all().get(box));
    try (Backend one = new CpuBackend(1);
        Backend three = new CpuBackend(3)) {
      check.requireSameBytes(one, three);
      check.requireSameBytes(three, three);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("boxes")
  void gradientsOnCudaInFloat32AreThoseOfTheReference(String box) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    try (Backend backend = EmulatedCuda.open(DType.FLOAT32)) {
      Objects.requireNonNull(BoxGradientCases.all().get(box))
          .requireEqualToReference(backend, FLOAT_TOLERANCE);
    }
  }

  /**
   * Residual blocks are compared on the branch of each LeakyReLU that the backend took: the
   * rounding of a value takes one activation in some hundred across the kink, and its gradient with
   * it.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("boxes")
  void gradientsOnCudaInBfloat16AreThoseOfTheReference(String box) {
    assumeTrue(EmulatedCuda.isPossible(), EmulatedCuda.NEEDS);
    GradientCase check = Objects.requireNonNull(BoxGradientCases.all().get(box));
    try (CudaBackend backend = EmulatedCuda.open(DType.BFLOAT16);
        Backend reference = new ReferenceBackend()) {
      if (box.startsWith("residual block")) {
        Branches branches = new Branches();
        check.requireCloseTo(
            branches.replaying(reference),
            branches.recording(backend, seen -> EmulatedCuda.trainingBoxes(backend, seen)),
            BFLOAT16_TOLERANCE);
      } else {
        check.requireCloseTo(reference, backend, BFLOAT16_TOLERANCE);
      }
    }
  }
}
