package org.unetrpp.postprocessing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.Workers;

class ComponentRuleTest {
  /** Rows of digits, one slice; a voxel is of 2 mm3. */
  static LabelVolume volume(String... rows) {
    byte[] labels = new byte[rows.length * rows[0].length()];
    for (int i = 0; i < labels.length; i++) {
      labels[i] =
          (byte) Character.digit(rows[i / rows[0].length()].charAt(i % rows[0].length()), 10);
    }
    Extents extents = new Extents(1, rows.length, rows[0].length());
    return new LabelVolume(new Geometry(extents, Affine.ofSpacing(new Spacing(4, 1, 0.5))), labels);
  }

  private static String apply(ComponentRule rule, LabelVolume volume) {
    byte[] before = volume.labels().clone();
    StringBuilder text = new StringBuilder();
    try (Workers workers = Workers.of(2)) {
      byte[] labels = rule.apply(volume, workers).labels();
      int width = volume.extents().width();
      for (int i = 0; i < labels.length; i++) {
        text.append(i > 0 && i % width == 0 ? " " : "").append(labels[i]);
      }
    }
    assertThat(volume.labels()).isEqualTo(before);
    return text.toString();
  }

  @Test
  void onlyTheLargestComponentOfAClassStays() {
    LabelVolume volume = volume("1101", "1002", "0122");
    assertThat(apply(ComponentRule.each(List.of(1)), volume)).isEqualTo("1100 1002 0022");
    assertThat(apply(ComponentRule.each(List.of(2)), volume)).isEqualTo("1101 1002 0122");
    assertThat(apply(ComponentRule.NONE, volume)).isEqualTo("1101 1002 0122");
  }

  @Test
  void equallyLargeComponentsStay() {
    assertThat(apply(ComponentRule.each(List.of(1, 2)), volume("1101", "0001", "1020")))
        .isEqualTo("1101 0001 0020");
  }

  @Test
  void classesTogetherAreOneObject() {
    LabelVolume volume = volume("1201", "0030", "2000");
    assertThat(apply(ComponentRule.joint(List.of(1, 2)), volume)).isEqualTo("1200 0030 0000");
    assertThat(apply(ComponentRule.joint(List.of(1, 2, 3)), volume)).isEqualTo("1200 0000 0000");
  }

  @Test
  void laterRemovalsSeeWhatEarlierOnesLeft() {
    // All as one drops the three voxels of 1 to the right; of what is left, each keeps its largest.
    LabelVolume volume = volume("2210111", "2222000", "0000000");
    ComponentRule rule =
        new ComponentRule(List.of(Removal.of(List.of(1, 2)), Removal.of(List.of(1))));
    assertThat(apply(rule, volume)).isEqualTo("2210000 2222000 0000000");
  }

  @Test
  void componentsOfTheMinimumSizeStay() {
    LabelVolume volume = volume("1110", "0001", "1101");
    ComponentRule four = new ComponentRule(List.of(new Removal(new TreeSet<>(List.of(1)), 4.0)));
    ComponentRule more = new ComponentRule(List.of(new Removal(new TreeSet<>(List.of(1)), 4.1)));
    assertThat(apply(four, volume)).isEqualTo("1110 0001 1101"); // 2 voxels of 2 mm3
    assertThat(apply(more, volume)).isEqualTo("1110 0000 0000");
  }

  @Test
  void backgroundIsNoClass() {
    assertThatThrownBy(() -> Removal.of(List.of(0, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("labels [0, 1], expected some from 1 to 255");
  }
}
