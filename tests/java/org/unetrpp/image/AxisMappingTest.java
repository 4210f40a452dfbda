package org.unetrpp.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.testing.StoredAxes;

class AxisMappingTest {
  /** Voxels and millimeters along right, anterior and superior. */
  private static final int[] VOXELS = {4, 3, 2};

  private static final double[] SPACING = {1, 2.5, 0.7};
  private static final double[] OFFSET = {-20, 13, 4.25};

  /** The same places and intensities, stored along axes of these directions. */
  private static Volume stored(String codes) {
    StoredAxes axes = new StoredAxes(codes, VOXELS, SPACING, OFFSET);
    float[] voxels = new float[(int) axes.geometry().extents().voxels()];
    axes.forEach((voxel, r, a, s) -> voxels[voxel] = r + 10 * a + 100 * s);
    return new Volume(axes.geometry(), voxels);
  }

  @ParameterizedTest
  @MethodSource("org.unetrpp.testing.StoredAxes#codes")
  void voxelsAreFoundWhateverTheOrderOfAxes(String codes) {
    for (String other : List.of("RAS", "LPS", "SRP")) {
      Volume from = stored(codes);
      Volume to = stored(other);
      Volume mapped = AxisMapping.between(from.geometry(), to.geometry()).orElseThrow().apply(from);
      assertThat(mapped.voxels()).isEqualTo(to.voxels());
      assertThat(mapped.geometry().isCloseTo(to.geometry())).isTrue();
    }
  }

  @Test
  void labelsAreMappedAsIntensitiesAre() {
    Volume from = stored("PIR");
    Volume to = stored("LAS");
    LabelVolume mapped =
        AxisMapping.between(from.geometry(), to.geometry())
            .orElseThrow()
            .apply(LabelVolume.of(from));
    assertThat(mapped.labels()).isEqualTo(LabelVolume.of(to).labels());
  }

  @Test
  void gridsOfOtherPlacesAreRefused() {
    Geometry grid = stored("LPS").geometry();
    assertThat(AxisMapping.between(moved(grid, 0.5), grid)).isEmpty();
    assertThat(AxisMapping.between(moved(grid, 1), grid)).isEmpty();
    assertThat(AxisMapping.between(moved(grid, 0.001), grid)).isPresent();
    Geometry wider = new Geometry(new Extents(2, 3, 5), grid.affine());
    assertThat(AxisMapping.between(wider, grid)).isEmpty();
    Geometry finer = new Geometry(grid.extents(), Affine.ofSpacing(new Spacing(1, 1, 1)));
    assertThat(AxisMapping.between(finer, grid)).isEmpty();
  }

  @Test
  void turnedGridsAreRefused() {
    Geometry grid = stored("RAS").geometry();
    double c = Math.cos(0.1);
    double s = Math.sin(0.1);
    Affine turned =
        Affine.ofRows(c, -2.5 * s, 0, OFFSET[0], s, 2.5 * c, 0, OFFSET[1], 0, 0, 0.7, OFFSET[2]);
    assertThat(AxisMapping.between(new Geometry(grid.extents(), turned), grid)).isEmpty();
  }

  @Test
  void gridWithoutSpaceIsOnlyLikeItself() {
    Geometry flat =
        new Geometry(
            new Extents(2, 3, 4),
            new Spacing(1, 1, 1),
            Affine.ofRows(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0));
    assertThat(AxisMapping.between(flat, flat)).isPresent();
    assertThat(AxisMapping.between(flat, stored("RAS").geometry())).isEmpty();
  }

  @Test
  void volumesOfAnotherGridAreRefused() {
    Geometry grid = stored("RAS").geometry();
    AxisMapping mapping = AxisMapping.between(grid, grid).orElseThrow();
    assertThatThrownBy(() -> mapping.apply(stored("SAR")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("volume of 4x3x2, expected 2x3x4");
  }

  private static Geometry moved(Geometry grid, double voxels) {
    Affine affine = grid.affine();
    double[] rows = new double[12];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = affine.at(i / 4, i % 4);
    }
    rows[3] += voxels * grid.spacing().width();
    return new Geometry(grid.extents(), Affine.ofRows(rows));
  }
}
