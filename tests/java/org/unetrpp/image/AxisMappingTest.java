package org.unetrpp.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.grid.Extents;

class AxisMappingTest {
  /** Voxels and millimeters along right, anterior and superior. */
  private static final int[] VOXELS = {4, 3, 2};

  private static final double[] SPACING = {1, 2.5, 0.7};
  private static final double[] OFFSET = {-20, 13, 4.25};

  static Stream<String> axisCodes() {
    List<String> codes = new ArrayList<>();
    for (String order : List.of("RAS", "RSA", "ARS", "ASR", "SRA", "SAR")) {
      for (int flips = 0; flips < 8; flips++) {
        StringBuilder code = new StringBuilder();
        for (int axis = 0; axis < 3; axis++) {
          int world = "RAS".indexOf(order.charAt(axis));
          code.append(((flips >> axis & 1) == 0 ? "RAS" : "LPI").charAt(world));
        }
        codes.add(code.toString());
      }
    }
    return codes.stream();
  }

  /** The same places and intensities, stored along axes of these directions. */
  private static Volume stored(String codes) {
    int[] world = new int[3];
    boolean[] ascending = new boolean[3];
    double[] rows = new double[12];
    for (int axis = 0; axis < 3; axis++) {
      char code = codes.charAt(axis);
      world[axis] = Math.max("RAS".indexOf(code), "LPI".indexOf(code));
      ascending[axis] = "RAS".indexOf(code) >= 0;
      double spacing = SPACING[world[axis]];
      rows[world[axis] * 4 + axis] = ascending[axis] ? spacing : -spacing;
      rows[world[axis] * 4 + 3] =
          OFFSET[world[axis]] + (ascending[axis] ? 0 : spacing * (VOXELS[world[axis]] - 1));
    }
    Extents extents = new Extents(VOXELS[world[2]], VOXELS[world[1]], VOXELS[world[0]]);
    float[] voxels = new float[(int) extents.voxels()];
    int[] index = new int[3];
    int voxel = 0;
    for (index[2] = 0; index[2] < extents.depth(); index[2]++) {
      for (index[1] = 0; index[1] < extents.height(); index[1]++) {
        for (index[0] = 0; index[0] < extents.width(); index[0]++) {
          int[] ras = new int[3];
          for (int axis = 0; axis < 3; axis++) {
            int last = VOXELS[world[axis]] - 1;
            ras[world[axis]] = ascending[axis] ? index[axis] : last - index[axis];
          }
          voxels[voxel++] = ras[0] + 10 * ras[1] + 100 * ras[2];
        }
      }
    }
    return new Volume(new Geometry(extents, Affine.ofRows(rows)), voxels);
  }

  @ParameterizedTest
  @MethodSource("axisCodes")
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
