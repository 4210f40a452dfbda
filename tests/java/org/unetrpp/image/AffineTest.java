package org.unetrpp.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AffineTest {
  private static final Affine OBLIQUE =
      Affine.ofRows(
          -3.25, 0, 0, 104, 0, -0.497204, -3.557622, 150.310944, 0, 3.211742, -0.550749, -92.105);

  @Test
  void mapsVoxelToMillimeters() {
    assertThat(Affine.ofRows(2, 0, 0, -90, 0, 0, 3, -126, 0, -4, 0, 72).apply(1, 2, 3))
        .containsExactly(-88, -117, 64);
  }

  @Test
  void afterAppliesTheOtherFirst() {
    Affine first = Affine.ofRows(2, 0, 0, 1, 0, 0, 3, -4, 0, 1, 0, 5);
    double[] between = first.apply(7, 8, 9);
    assertThat(OBLIQUE.after(first).apply(7, 8, 9))
        .containsExactly(OBLIQUE.apply(between[0], between[1], between[2]), within(1e-12));
  }

  @Test
  void inverseLeadsBack() {
    double[] millimeters = OBLIQUE.apply(5, 7, 11);
    double[] voxel = OBLIQUE.inverse().apply(millimeters[0], millimeters[1], millimeters[2]);
    // Condition about 1.2; millimeters up to 200 over spacing 3.
    assertThat(voxel).containsExactly(new double[] {5, 7, 11}, within(1e-12));
  }

  @Test
  void spacingIsTheLengthOfColumnsSliceAxisFirst() {
    Spacing spacing = OBLIQUE.spacing();
    assertThat(spacing.width()).isEqualTo(3.25);
    assertThat(spacing.height()).isCloseTo(3.25, within(1e-5));
    assertThat(spacing.depth()).isCloseTo(3.6, within(1e-5));
  }

  @Test
  void rotationHasNoShear() {
    assertThat(OBLIQUE.shear()).isLessThan(1e-6);
    assertThat(Affine.ofSpacing(new Spacing(5, 0.5, 0.25)).shear()).isLessThan(1e-15);
  }

  @Test
  void shearOfOnePairOfAxesIsThatOfTheirAngle() {
    double angle = Math.toRadians(10);
    Affine tilted = Affine.ofRows(1, 0, 0, 0, 0, 1, Math.sin(angle), 0, 0, 0, Math.cos(angle), 0);
    // The Gram matrix [[1, s], [s, 1]] has the eigenvalues 1 + s and 1 - s.
    assertThat(tilted.shear()).isCloseTo(1 - Math.sqrt(1 - Math.sin(angle)), within(1e-14));
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "RAS, 1 0 0 0 0 1 0 0 0 0 1 0",
    "LPS, -1 0 0 0 0 -2 0 0 0 0 3 0",
    "PSR, 0 0 2 0 -1 0 0 0 0 3 0 0",
    "AIR, 0 -0.1 2.4 0 2.4 0 0.1 0 0 -2.4 0 0",
    "LSP, -3.25 0 0 0 0 -0.5 -3.5 0 0 3.2 -0.6 0",
    "RA-, 1 0 0 0 0 1 0 0 0 0 0 0"
  })
  void axisCodesNameTheDirectionOfGrowth(String codes, String entries) {
    assertThat(ofText(entries).axisCodes()).isEqualTo(codes);
  }

  @Test
  void singularAffineHasNoInverse() {
    Affine flat = Affine.ofRows(1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0);
    assertThat(flat.isSingular()).isTrue();
    assertThatIllegalStateException().isThrownBy(flat::inverse).withMessageContaining("singular");
    assertThat(OBLIQUE.isSingular()).isFalse();
  }

  @Test
  void closenessIsInMillimeters() {
    Affine moved = Affine.ofRows(1, 0, 0, 0.01, 0, 1, 0, 0, 0, 0, 1, 0);
    Affine identity = Affine.ofSpacing(new Spacing(1, 1, 1));
    assertThat(moved.isCloseTo(identity, 0.011)).isTrue();
    assertThat(moved.isCloseTo(identity, 0.009)).isFalse();
    assertThat(moved).isNotEqualTo(identity);
  }

  @ParameterizedTest
  @CsvSource({"NaN 0 0 0 0 1 0 0 0 0 1 0", "1 0 0 Infinity 0 1 0 0 0 0 1 0", "1 2 3"})
  void rejectsWhatIsNoAffine(String entries) {
    assertThatIllegalArgumentException().isThrownBy(() -> ofText(entries));
  }

  @Test
  void lastRowIsThatOfAnAffine() {
    assertThat(OBLIQUE.toArray()[3]).containsExactly(0, 0, 0, 1);
  }

  private static Affine ofText(String entries) {
    String[] words = entries.split(" ", -1);
    double[] numbers = new double[words.length];
    for (int i = 0; i < words.length; i++) {
      numbers[i] = Double.parseDouble(words[i]);
    }
    return Affine.ofRows(numbers);
  }
}
