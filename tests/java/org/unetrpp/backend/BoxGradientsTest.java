package org.unetrpp.backend;

import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.backend.cpu.CpuBackend;

/**
 * Gradients of every box, dropout included: on the reference backend against central differences,
 * on the CPU against the reference.
 */
class BoxGradientsTest {
  /** Rounding of sums near 10, 2e-15, over twice the step, 8e-6: below 1e-9; the rest is kinks. */
  private static final double TOLERANCE = 1e-5;

  /** A few dozen roundings to float32, 6e-8 each, in every sum's terms. */
  private static final double FLOAT_TOLERANCE = 5e-6;

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
}
