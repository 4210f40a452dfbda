package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonObject;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;

class CropTest {
  private static final Spacing MILLIMETER = new Spacing(1, 1, 1);

  @Test
  void holesAreFilledAsByScipy() {
    JsonObject vector = Vectors.object("holes.json");
    Extents extents = Vectors.extents(vector, "extents");
    VoxelMask mask = Vectors.mask(extents, vector.get("mask").getAsString());
    assertThat(Vectors.text(mask.withHolesFilled())).isEqualTo(vector.get("filled").getAsString());
  }

  @Test
  void boxIsThatOfTheFilledMask() {
    JsonObject vector = Vectors.object("holes.json");
    Extents extents = Vectors.extents(vector, "extents");
    VoxelMask mask = Vectors.mask(extents, vector.get("mask").getAsString());
    Box box = mask.boundingBox();
    assertThat(mask.withHolesFilled().boundingBox()).isEqualTo(box);
    var expected = vector.getAsJsonArray("box");
    for (int axis = 0; axis < 3; axis++) {
      var ends = expected.get(axis).getAsJsonArray();
      assertThat(box.origin().along(axis)).isEqualTo(ends.get(0).getAsInt());
      assertThat(box.end(axis)).isEqualTo(ends.get(1).getAsInt());
    }
  }

  @Test
  void aSpiralThatOpensToTheBorderIsNoHole() {
    // A corridor winds through the middle slice; the wall around it has one opening.
    String middle =
        """
        1111111
        1000001
        1011101
        1010101
        1010001
        1011111
        1000000
        """;
    String solid = "1".repeat(49);
    String text = solid + middle.replace("\n", "") + solid;
    Extents extents = new Extents(3, 7, 7);
    assertThat(Vectors.text(Vectors.mask(extents, text).withHolesFilled())).isEqualTo(text);
    String closed = solid + middle.replace("\n", "").substring(0, 42) + "1".repeat(7) + solid;
    assertThat(Vectors.mask(extents, closed).withHolesFilled().count()).isEqualTo(147);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void maskHoldsVoxelsWhereAnyChannelIsNotZero(int threads) {
    Extents extents = new Extents(5, 300, 301);
    float[] first = new float[(int) extents.voxels()];
    float[] second = first.clone();
    first[voxel(extents, 1, 20, 30)] = -3;
    first[voxel(extents, 2, 20, 30)] = -0f;
    second[voxel(extents, 3, 290, 5)] = Float.NaN;
    second[voxel(extents, 1, 20, 30)] = 3; // the sum of both is zero
    try (Workers workers = Workers.of(threads)) {
      var image = new MultiChannelImage(List.of(first, second), extents, MILLIMETER);
      assertThat(Crop.nonzero(image, workers).count()).isEqualTo(2);
      Box box = Crop.nonzeroBox(image, workers);
      assertThat(box).isEqualTo(new Box(new Extents(1, 20, 5), new Extents(3, 271, 26)));
      var cropped = Crop.crop(image, box, workers);
      assertThat(cropped.extents()).isEqualTo(box.extents());
      assertThat(cropped.channels().getFirst()[25]).isEqualTo(-3);
      assertThat(cropped.channels().getLast()[(2 * 271 + 270) * 26]).isNaN();
    }
  }

  @Test
  void anImageOfZerosKeepsItsWholeVolume() {
    Extents extents = new Extents(2, 3, 4);
    var image = new MultiChannelImage(List.of(new float[24]), extents, MILLIMETER);
    try (Workers workers = Workers.of(1)) {
      assertThat(Crop.nonzeroBox(image, workers)).isEqualTo(Box.whole(extents));
    }
  }

  @Test
  void labelsReturnToWhereTheyWereCropped() {
    Extents original = new Extents(3, 4, 5);
    Box box = new Box(new Extents(1, 2, 3), new Extents(2, 1, 2));
    byte[] whole = Crop.uncrop(new byte[] {1, 2, 3, (byte) 200}, box, original);
    assertThat(whole).hasSize(60);
    assertThat(whole[voxel(original, 1, 2, 3)]).isEqualTo((byte) 1);
    assertThat(whole[voxel(original, 1, 2, 4)]).isEqualTo((byte) 2);
    assertThat(whole[voxel(original, 2, 2, 3)]).isEqualTo((byte) 3);
    assertThat(whole[voxel(original, 2, 2, 4)]).isEqualTo((byte) 200);
    assertThat(whole).containsOnly(0, 1, 2, 3, (byte) 200);
  }

  @Test
  void labelsThatDoNotFitAreRefused() {
    Box box = new Box(new Extents(1, 0, 0), Extents.cube(2));
    assertThatThrownBy(() -> Crop.uncrop(new byte[8], box, Extents.cube(2)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Crop.uncrop(new byte[7], box, Extents.cube(3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("7 labels");
  }

  @Test
  void theFirstVoxelThatIsNoNumberIsNamed() {
    float[] second = new float[24];
    second[23] = Float.NaN;
    second[17] = Float.NEGATIVE_INFINITY;
    var image =
        new MultiChannelImage(List.of(new float[24], second), new Extents(2, 3, 4), MILLIMETER);
    assertThatThrownBy(image::requireFinite)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("channel 1 is -Infinity at voxel (1, 1, 1), expected a finite number");
  }

  @Test
  void imagesThatDoNotFillTheirExtentsAreRefused() {
    assertThatThrownBy(
            () -> new MultiChannelImage(List.of(new float[7]), Extents.cube(2), MILLIMETER))
        .hasMessage("channel 0 has 7 voxels, expected 8 for 2x2x2");
    assertThatThrownBy(() ->
            new MultiChannelImage(List.of(new float[8]), Extents.cube(2), new Spacing(1, 0, 1)))
        .hasMessageContaining("spacings above 0");
    assertThatThrownBy(() -> new MultiChannelImage(List.of(), Extents.cube(2), MILLIMETER))
        .hasMessageContaining("without channels");
  }

  private static int voxel(Extents extents, int depth, int row, int column) {
    return (depth * extents.height() + row) * extents.width() + column;
  }
}
