package org.unetrpp.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.unetrpp.files.InvalidFileException;

/** A folder of files with an expected.json that says what each must give. */
record NiftiCases(Path folder, JsonObject expected) {
  private static final int CIFTI_EXTENSION = 32;

  /** Half a unit of the sixth decimal, to which affine and spacing were rounded, and some. */
  private static final double ROUNDED = 6e-7;

  /** The folder of files beside these tests. */
  static NiftiCases ofResources() {
    try {
      return of(Path.of(NiftiCases.class.getResource("/nifti").toURI()));
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  static NiftiCases of(Path folder) {
    try {
      String json = Files.readString(folder.resolve("expected.json"));
      return new NiftiCases(folder, JsonParser.parseString(json).getAsJsonObject());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Stream<String> names() {
    return expected.keySet().stream();
  }

  Path path(String name) {
    return folder.resolve(name);
  }

  /** Reads one file and compares all that is said of it. */
  void verify(String name) throws IOException {
    JsonObject facts = expected.getAsJsonObject(name);
    boolean otherFormat = name.endsWith(".mgz");
    if (facts.has("error") || otherFormat) {
      assertThatThrownBy(() -> Nifti.open(path(name)))
          .isInstanceOf(InvalidFileException.class)
          .hasMessageStartingWith(path(name).toString())
          .hasMessageNotContaining("\n");
      return;
    }
    NiftiFile file = Nifti.open(path(name));
    verifyHeader(file.header(), facts);
    ImageSummary summary = file.summary();
    assertThat(summary.voxelType()).isEqualTo(facts.get("dtype").getAsString());
    assertThat(summary.axisCodes()).isEqualTo(facts.get("axes").getAsString());
    verifyStatistics(summary, facts);
    if (file.header().voxelType().isScalar() && !file.header().isCifti()) {
      verifyVoxels(file, facts);
    } else {
      assertThatThrownBy(file::volumes)
          .isInstanceOf(InvalidFileException.class)
          .hasMessageContaining("expected");
    }
  }

  private static void verifyHeader(NiftiHeader header, JsonObject facts) {
    assertThat(header.shape())
        .containsExactlyElementsOf(
            numbers(facts, "shape").stream().map(JsonElement::getAsInt).toList());
    assertThat(header.byteOrder().toString()).startsWithIgnoringCase(text(facts, "byteorder"));
    for (int axis = 0; axis < header.shape().size(); axis++) {
      double expected = numbers(facts, "zooms").get(axis).getAsDouble();
      assertThat(header.axisSpacing().get(axis)).isCloseTo(expected, within(ROUNDED));
    }
    for (int row = 0; row < 3; row++) {
      for (int column = 0; column < 4; column++) {
        double expected =
            facts.getAsJsonArray("affine").get(row).getAsJsonArray().get(column).getAsDouble();
        assertThat(header.affine().at(row, column)).isCloseTo(expected, within(ROUNDED));
      }
    }
    assertThat(header.slope()).isEqualTo(facts.get("scl_slope").getAsDouble());
    assertThat(header.intercept()).isEqualTo(facts.get("scl_inter").getAsDouble());
    if (facts.has("qform_code")) {
      assertThat(header.qformCode()).isEqualTo(facts.get("qform_code").getAsInt());
      assertThat(header.sformCode()).isEqualTo(facts.get("sform_code").getAsInt());
    }
    if (facts.has("extensions")) {
      verifyExtensions(header.extensions(), facts.getAsJsonArray("extensions"));
    } else {
      assertThat(header.extensions()).isEmpty();
    }
  }

  private static void verifyExtensions(List<NiftiExtension> extensions, JsonArray facts) {
    assertThat(extensions).hasSize(facts.size());
    for (int i = 0; i < facts.size(); i++) {
      JsonArray fact = facts.get(i).getAsJsonArray();
      assertThat(extensions.get(i).code()).isEqualTo(fact.get(0).getAsInt());
      if (extensions.get(i).code() != CIFTI_EXTENSION) {
        assertThat(extensions.get(i).bytes()).isEqualTo(fact.get(1).getAsInt());
      }
    }
  }

  private static void verifyStatistics(ImageSummary summary, JsonObject facts) {
    long count = summary.shape().stream().mapToLong(Integer::longValue).reduce(1, (x, y) -> x * y);
    switch (summary.statistics()) {
      case VoxelStatistics.Real real -> {
        double min = facts.get("min").getAsDouble();
        double max = facts.get("max").getAsDouble();
        assertThat(real.min()).isEqualTo(min);
        assertThat(real.max()).isEqualTo(max);
        assertThat(real.sum()).isCloseTo(number(facts, "sum"), within(sumError(count, min, max)));
        assertThat(real.nonFinite()).isZero();
      }
      case VoxelStatistics.Complex complex -> {
        double max = facts.get("max_abs").getAsDouble();
        // The magnitudes expected were rounded to single precision.
        assertThat(complex.minMagnitude())
            .isCloseTo(number(facts, "min_abs"), within(max * Math.ulp(1.0f)));
        assertThat(complex.maxMagnitude()).isCloseTo(max, within(max * Math.ulp(1.0f)));
        double error = sumError(count, 0, max);
        assertThat(complex.realSum()).isCloseTo(number(facts, "sum_re"), within(error));
        assertThat(complex.imaginarySum()).isCloseTo(number(facts, "sum_im"), within(error));
        assertThat(complex.nonFinite()).isZero();
      }
    }
  }

  /**
   * The rounding of a sum by tiles: each number goes through at most a tile's additions and one for
   * each tile after it. The other side adds pairwise, which is closer.
   */
  private static double sumError(long count, double min, double max) {
    double additions = ScalarDecoder.TILE + 4.0 * count / ScalarDecoder.TILE + 64;
    return additions * Math.ulp(1.0) * count * Math.max(Math.abs(min), Math.abs(max));
  }

  private static void verifyVoxels(NiftiFile file, JsonObject facts) throws IOException {
    List<Volume> volumes = file.volumes();
    assertThat(volumes).hasSize((int) file.header().volumeCount());
    List<Integer> shape = file.shape();
    Volume first = volumes.getFirst();
    assertThat(first.affine()).isEqualTo(file.header().affine());
    int compared = Math.min(first.voxels().length, 3);
    for (int i = 0; i < compared; i++) {
      float expected = numbers(facts, "first_values_x_fastest").get(i).getAsFloat();
      assertThat(first.voxels()[i]).isEqualTo(expected);
    }
    int volume = 0;
    for (int axis = shape.size() - 1; axis >= 3; axis--) {
      volume = volume * shape.get(axis) + shape.get(axis) / 2;
    }
    int width = shape.get(0);
    int height = shape.get(1);
    int middle = (shape.get(2) / 2 * height + height / 2) * width + width / 2;
    assertThat(volumes.get(volume).voxels()[middle])
        .isEqualTo((float) number(facts, "middle_value"));
  }

  private static List<JsonElement> numbers(JsonObject facts, String key) {
    return facts.getAsJsonArray(key).asList();
  }

  private static double number(JsonObject facts, String key) {
    return facts.get(key).getAsDouble();
  }

  private static String text(JsonObject facts, String key) {
    return facts.get(key).getAsString();
  }
}
