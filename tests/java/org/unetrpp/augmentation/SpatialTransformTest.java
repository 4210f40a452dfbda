package org.unetrpp.augmentation;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unetrpp.grid.Extents;

class SpatialTransformTest {
  /** Half a unit in the last place of a float below 4, and the rounding of the vectors' text. */
  private static final Offset<Float> ROUNDING = Offset.offset(3e-7f);

  static List<JsonObject> cases() {
    return Vectors.cases("spatial.json");
  }

  private static SamplingGrid grid(JsonObject vector) {
    return SamplingGrid.of(
        Vectors.extents(vector, "source"),
        Vectors.extents(vector, "target"),
        vector.get("sliceWise").getAsBoolean(),
        Vectors.doubles(vector, "angles"),
        vector.get("scale").getAsDouble());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void imageMatchesTheSplineOfScipy(JsonObject vector) {
    SamplingGrid grid = grid(vector);
    Patch result = SpatialTransform.sample(Vectors.patch(grid.source()), grid);
    assertThat(result.extents()).isEqualTo(grid.target());
    assertThat(result.image()).containsExactly(Vectors.floats(vector, "image"), ROUNDING);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void labelsMatchInterpolatedIndicators(JsonObject vector) {
    SamplingGrid grid = grid(vector);
    Patch result = SpatialTransform.sample(Vectors.patch(grid.source()), grid);
    assertThat(result.labels()).containsExactly(Vectors.shorts(vector, "labels"));
  }

  @Test
  void channelsAreSampledAlike() {
    Extents source = new Extents(6, 7, 8);
    float[] channel = Vectors.image(source.voxels());
    float[] image = new float[2 * channel.length];
    for (int voxel = 0; voxel < channel.length; voxel++) {
      image[voxel] = channel[voxel];
      image[channel.length + voxel] = 2 * channel[voxel];
    }
    SamplingGrid grid =
        SamplingGrid.of(source, new Extents(3, 4, 5), false, new double[] {0.3, 0.2, 0.1}, 1.1);
    float[] result =
        SpatialTransform.sample(new Patch(2, source, image, Vectors.labels(source)), grid).image();
    for (int voxel = 0; voxel < 60; voxel++) {
      assertThat(result[60 + voxel]).isEqualTo(2 * result[voxel]);
    }
  }

  @Test
  void gridIsCenteredOnHalfTheExtentRoundedToEven() {
    SamplingGrid grid =
        SamplingGrid.of(new Extents(5, 7, 8), new Extents(1, 1, 3), false, new double[3], 1);
    double[][] positions = new double[3][3];
    grid.row(0, 0, positions);
    assertThat(positions[0][0]).isEqualTo(2); // 2.5 to the even 2
    assertThat(positions[1][0]).isEqualTo(4); // 3.5 to the even 4
    assertThat(positions[2]).containsExactly(3, 4, 5);
  }

  @Test
  void aHalfBelongsToTheHigherLabel() {
    Extents source = new Extents(1, 1, 4);
    short[] labels = {3, 1, 2, -1};
    // Centered at 2, an even number of voxels lies half-way between those of the source.
    SamplingGrid grid = SamplingGrid.of(source, new Extents(1, 1, 4), true, new double[3], 1);
    assertThat(SpatialTransform.sampleLabels(labels, grid)).containsExactly(3, 2, 2, 0);
  }

  @Test
  void cropTakesTheMiddleOfAllChannels() {
    Extents source = new Extents(4, 5, 7);
    float[] image = new float[2 * 140];
    short[] labels = new short[140];
    for (int voxel = 0; voxel < 140; voxel++) {
      image[voxel] = voxel;
      image[140 + voxel] = -voxel;
      labels[voxel] = (short) voxel;
    }
    Patch crop =
        SpatialTransform.centerCrop(new Patch(2, source, image, labels), new Extents(2, 2, 4));
    int index = 0;
    for (int slice = 1; slice < 3; slice++) {
      for (int row = 1; row < 3; row++) {
        for (int column = 1; column < 5; column++) {
          int voxel = (slice * 5 + row) * 7 + column;
          assertThat(crop.image()[index]).isEqualTo(voxel);
          assertThat(crop.image()[16 + index]).isEqualTo(-voxel);
          assertThat(crop.labels()[index]).isEqualTo((short) voxel);
          index++;
        }
      }
    }
  }
}
