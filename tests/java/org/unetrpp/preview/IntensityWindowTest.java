package org.unetrpp.preview;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;

class IntensityWindowTest {
  @Test
  void computedTomographyIsShownAsSoftTissue() {
    IntensityWindow window = of(1000, i -> i < 400 ? -1000 : i < 900 ? 50 : 700);
    assertThat(window).isEqualTo(IntensityWindow.SOFT_TISSUE);
    assertThat(window.gray(-1000)).isZero();
    assertThat(window.gray(-160)).isZero();
    assertThat(window.gray(40)).isEqualTo(128);
    assertThat(window.gray(240)).isEqualTo(255);
    assertThat(window.gray(3000)).isEqualTo(255);
  }

  @ParameterizedTest
  @CsvSource({"0, 1", "-4096, 8", "-2, 0.004", "30000, 20", "-900, 0.1"})
  void otherImagesAreShownBetweenTheirPercentiles(double first, double step) {
    IntensityWindow window = of(1001, i -> first + step * i);
    assertThat(window.low()).isCloseTo(first + step * 5, within(1e-3));
    assertThat(window.high()).isCloseTo(first + step * 995, within(1e-3));
  }

  @Test
  void fewExtremeVoxelsDoNotCount() {
    IntensityWindow window = of(1000, i -> i == 17 ? 1e9 : i == 400 ? -700 : i % 100);
    assertThat(window.low()).isBetween(0.0, 1.0);
    assertThat(window.high()).isBetween(98.0, 99.0);
  }

  @Test
  void largeVolumesAreSampledAllOver() {
    IntensityWindow window = of(3_000_000, i -> i);
    assertThat(window.low()).isCloseTo(15_000, within(50.0));
    assertThat(window.high()).isCloseTo(2_985_000, within(50.0));
  }

  @Test
  void constantImageIsBlack() {
    assertThat(of(100, _ -> 7).gray(7)).isZero();
  }

  private static IntensityWindow of(int voxels, IntToDoubleFunction intensity) {
    float[] values = new float[voxels];
    for (int i = 0; i < voxels; i++) {
      values[i] = (float) intensity.applyAsDouble(i);
    }
    Geometry geometry =
        new Geometry(new Extents(1, 1, voxels), Affine.ofSpacing(new Spacing(1, 1, 1)));
    return IntensityWindow.of(new Volume(geometry, values));
  }
}
