package org.unetrpp.inference;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;

class LabelMeasureTest {
  private static final List<LabelClass> CLASSES =
      List.of(
          new LabelClass(0, "background", "#000000"),
          new LabelClass(7, "spleen", "#00bb00"),
          new LabelClass(200, "liver", "#aa0000"),
          new LabelClass(3, "kidney", "#0000aa"));

  @Test
  void millilitersFollowTheSpacing() {
    byte[] labels = new byte[4 * 5 * 6];
    labels[3] = 7;
    labels[50] = 7;
    labels[119] = (byte) 200;
    labels[60] = 9; // of no class
    Geometry geometry =
        new Geometry(new Extents(4, 5, 6), Affine.ofSpacing(new Spacing(5, 0.75, 0.5)));
    assertThat(LabelMeasure.of(new LabelVolume(geometry, labels), CLASSES))
        .containsExactly(
            new LabelMeasure(CLASSES.get(1), 2, 2 * 0.001875),
            new LabelMeasure(CLASSES.get(2), 1, 0.001875),
            new LabelMeasure(CLASSES.get(3), 0, 0));
  }
}
