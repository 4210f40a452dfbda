package org.unetrpp.stages;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Spacing;

class VolumeDifferenceTest {
  private static final Affine AFFINE = Affine.ofSpacing(new Spacing(4, 3, 2));

  private static VolumeDifference compare(float[] a, float[] b, double tolerance) {
    return VolumeDifference.of("0000", stored(a, AFFINE), stored(b, AFFINE), tolerance);
  }

  private static StoredStages.Stored stored(float[] voxels, @Nullable Affine affine) {
    return new StoredStages.Stored(new Extents(2, 1, voxels.length / 2), affine, voxels);
  }

  private static VolumeDifference.Place place(VolumeDifference.@Nullable Place found) {
    return Objects.requireNonNull(found);
  }

  @Test
  void firstAndLargestDifferenceAreFound() {
    VolumeDifference found =
        compare(new float[] {1, 2, 3, 4, 5, 6}, new float[] {1, 2.25f, 3, 4, 8, 6}, 0.125);
    assertThat(found.isEqual()).isFalse();
    assertThat(found.voxels()).isEqualTo(6);
    assertThat(found.differing()).isEqualTo(2);
    assertThat(found.largestAbsolute()).isEqualTo(3);
    assertThat(found.largestRelative()).isCloseTo(3 / 8.0, within(1e-15));
    assertThat(place(found.first()).index()).isEqualTo(new Extents(0, 0, 1));
    assertThat(place(found.first()).millimeters()).containsExactly(2, 0, 0);
    assertThat(place(found.largest()).index()).isEqualTo(new Extents(1, 0, 1));
    assertThat(place(found.largest()).millimeters()).containsExactly(2, 0, 4);
    assertThat(place(found.largest()).a()).isEqualTo(5);
    assertThat(place(found.largest()).b()).isEqualTo(8);
  }

  @Test
  void toleranceIsInclusive() {
    assertThat(compare(new float[] {1, 2}, new float[] {1, 2.5f}, 0.5).isEqual()).isTrue();
    assertThat(compare(new float[] {1, 2}, new float[] {1, 2.5f}, 0.49).isEqual()).isFalse();
  }

  @Test
  void whatIsNoNumberEqualsItselfOnly() {
    float[] a = {Float.NaN, 1};
    assertThat(compare(a, a.clone(), 0).isEqual()).isTrue();
    VolumeDifference found = compare(a, new float[] {0, 1}, 1e30);
    assertThat(found.differing()).isEqualTo(1);
    assertThat(found.largestAbsolute()).isInfinite();
    assertThat(found.largestRelative()).isInfinite();
  }

  @Test
  void volumesOfUnknownPlaceAreComparedByValues() {
    StoredStages.Stored known = stored(new float[] {1, 2}, AFFINE);
    StoredStages.Stored unknown = stored(new float[] {1, 3}, null);
    assertThat(VolumeDifference.of("0000", known, unknown, 1).isEqual()).isTrue();
    VolumeDifference found = VolumeDifference.of("0000", unknown, known, 0);
    assertThat(place(found.first()).millimeters()).containsExactly(0, 0, 4);
  }
}
