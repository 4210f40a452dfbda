package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.util.List;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.grid.Extents;

class ImportanceMapTest {
  static List<JsonObject> maps() {
    return Vectors.cases("importance.json");
  }

  @ParameterizedTest
  @CsvSource({
    "64, 128, 128, 1.0142325e-10, 32249.004911",
    "16, 160, 160, 3.6632508e-10, 12597.021656",
    "32, 192, 192, 1.3856899e-10, 36279.995353",
    "128, 128, 128, 7.945269e-11, 64498.076947"
  })
  void publishedPatchesHaveTheirCornersAndSums(
      int depth, int height, int width, float lastCorner, double sum) {
    float[] map = ImportanceMap.of(new Extents(depth, height, width));
    // one unit in the last place: the vectors come from another exponential function
    assertThat(map[0]).isCloseTo(3.7751344e-11f, Percentage.withPercentage(1e-5));
    assertThat(map[map.length - 1]).isCloseTo(lastCorner, Percentage.withPercentage(1e-5));
    double total = 0;
    for (float weight : map) {
      total += weight;
    }
    assertThat(total).isCloseTo(sum, Offset.offset(1e-6 * sum / 1000));
    assertThat(map[((depth / 2) * height + height / 2) * width + width / 2]).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"8x8x8", "40x56x40", "16x32x24"})
  void everyPatchDivisibleBy8HasTheSameFirstCorner(String patch) {
    float[] map =
        ImportanceMap.of(
            Extents.of(Stream.of(patch.split("x", -1)).mapToInt(Integer::parseInt).toArray()));
    assertThat(map[0]).isCloseTo(3.7751344e-11f, Percentage.withPercentage(1e-5));
  }

  @ParameterizedTest
  @MethodSource("maps")
  void smallAndOddPatchesMatchScipy(JsonObject vector) {
    float[] map = ImportanceMap.of(Vectors.extents(vector, "patch"));
    float[] expected = Vectors.floats(vector, "map");
    assertThat(map).hasSameSizeAs(expected);
    for (int voxel = 0; voxel < map.length; voxel++) {
      assertThat(map[voxel]).isCloseTo(expected[voxel], Percentage.withPercentage(2e-5));
    }
  }

  @Test
  void oddPatchesHaveTheirLeastValueAndLine() {
    float[] map = ImportanceMap.of(new Extents(5, 6, 7));
    float least = 1;
    for (float weight : map) {
      least = Math.min(least, weight);
    }
    assertThat(least).isCloseTo(5.6165343e-09f, Percentage.withPercentage(1e-5));
    int center = 3 * 7 + 3;
    assertThat(map[center]).isCloseTo(0.005976f, Offset.offset(5e-7f));
    assertThat(map[42 + center]).isCloseTo(0.278037f, Offset.offset(5e-7f));
    assertThat(map[84 + center]).isEqualTo(1);
  }
}
