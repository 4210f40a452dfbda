package org.unetrpp.backend;

import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Gradients of every box, dropout included, against central differences in double precision. */
class BoxGradientsTest {
  /** Rounding of sums near 10, 2e-15, over twice the step, 8e-6: below 1e-9; the rest is kinks. */
  private static final double TOLERANCE = 1e-5;

  static Stream<String> boxes() {
    return BoxGradientCases.all().keySet().stream();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("boxes")
  void gradientsOfTheReferenceAreCentralDifferences(String box) {
    Objects.requireNonNull(BoxGradientCases.all().get(box)).requireCentralDifferences(TOLERANCE);
  }
}
