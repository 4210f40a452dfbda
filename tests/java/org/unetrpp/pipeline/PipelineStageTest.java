package org.unetrpp.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonParser;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.PipelineStage.Layer;
import org.unetrpp.pipeline.PipelineStage.Name;

class PipelineStageTest {
  private static final ChannelPlan MRI =
      new ChannelPlan("MRI", NormalizationScheme.NON_CT, true, null);
  private static final ChannelPlan CT =
      new ChannelPlan("CT", NormalizationScheme.CT, false, new IntensityStatistics(5, 2, 1, 9));
  private static final Affine OBLIQUE =
      Affine.ofRows(-0.9, 0.1, 0, 104, 0, -1.2, -0.4, 15, 0.1, 0.3, -2, -92);

  /** What a listener was told, with the voxels as they were then. */
  private record Told(PipelineStage stage, List<float[]> voxels) {
    static Told of(PipelineStage stage) {
      return new Told(
          stage, stage.layers().stream().map(layer -> layer.voxels().get().clone()).toList());
    }

    float[] layer(String name) {
      return voxels.get(stage.layers().stream().map(Layer::name).toList().indexOf(name));
    }
  }

  /** Of a case whose values say where they lie, in every order of axes. */
  @ParameterizedTest(name = "axes {0} {1} {2}")
  @CsvSource({"0, 1, 2", "1, 0, 2", "2, 0, 1", "1, 2, 0"})
  void everyStageLiesWhereItsValuesSay(int first, int second, int third) {
    Extents extents = new Extents(14, 15, 16);
    Geometry geometry = new Geometry(extents, OBLIQUE);
    MultiChannelImage image = ramp(geometry);
    PreprocessingPlan plan =
        new PreprocessingPlan(
            List.of(CT),
            new Spacing(1.1, 0.8, 1.3),
            new AxisOrder(first, second, third),
            SplineRule.PINNED);
    List<Told> told = new ArrayList<>();
    try (Workers workers = Workers.of(2)) {
      StagedSegmentation.run(
          image,
          plan,
          new VoxelwisePredictor(new Extents(40, 8, 8), _ -> 0.5f),
          SlidingWindow.Settings.PUBLISHED,
          true,
          stage -> told.add(Told.of(stage)),
          workers,
          new StageClock());
    }
    assertThat(told.stream().map(stage -> stage.stage().name()))
        .containsExactly(
            Name.READ,
            Name.CROP,
            Name.TRANSPOSED,
            Name.RESAMPLED,
            Name.NORMALIZED,
            Name.PADDED,
            Name.PROBABILITIES,
            Name.ARGMAX);
    for (Told stage : told.subList(0, 4)) {
      Geometry in = stage.stage().grid().in(geometry);
      float[] voxels = stage.layer("0000");
      Extents size = in.extents();
      assertThat(voxels).hasSize((int) size.voxels());
      for (int d = 3; d < size.depth() - 3; d++) {
        for (int h = 3; h < size.height() - 3; h++) {
          for (int w = 3; w < size.width() - 3; w++) {
            double expected = value(in.affine().apply(w, h, d));
            int voxel = (d * size.height() + h) * size.width() + w;
            // A cubic goes through a straight line; a B-spline's border, mirrored as it is, fades
            // by 0.27 a voxel.
            assertThat((double) voxels[voxel]).isCloseTo(expected, within(0.05));
          }
        }
      }
    }
    Geometry padded = told.get(5).stage().grid().in(geometry);
    Geometry normalized = told.get(4).stage().grid().in(geometry);
    int below = (40 - normalized.extents().depth()) / 2;
    assertThat(padded.extents().depth()).isEqualTo(40);
    assertThat(padded.affine().apply(2, 3, below + 4))
        .containsExactly(normalized.affine().apply(2, 3, 4), within(1e-9));
    int area = padded.extents().height() * padded.extents().width();
    assertThat(told.get(5).layer("0000")[below * area]).isEqualTo(told.get(4).layer("0000")[0]);
    assertThat(told.get(5).layer("0000")[(below - 1) * area]).isZero();
    assertThat(told.get(7).stage().grid()).isEqualTo(told.get(1).stage().grid());
  }

  /** In millimeters, never 0. */
  private static double value(double[] at) {
    return 400 + at[0] + 1.5 * at[1] - 0.5 * at[2];
  }

  private static MultiChannelImage ramp(Geometry geometry) {
    Extents extents = geometry.extents();
    float[] voxels = new float[(int) extents.voxels()];
    for (int voxel = 0; voxel < voxels.length; voxel++) {
      int w = voxel % extents.width();
      int h = voxel / extents.width() % extents.height();
      int d = voxel / extents.width() / extents.height();
      boolean border = d == 0 || h < 2 || w > 12;
      voxels[voxel] = border ? 0 : (float) value(geometry.affine().apply(w, h, d));
    }
    return new MultiChannelImage(List.of(voxels), extents, geometry.spacing());
  }

  @Test
  void stagesOfALabeledCaseEndInThePreparedCase() {
    Extents extents = new Extents(9, 12, 11);
    float[] channel = Vectors.random(extents, 5);
    short[] classes = new short[channel.length];
    for (int voxel = 0; voxel < channel.length; voxel++) {
      boolean outside = voxel % 11 < 3;
      channel[voxel] = outside ? 0 : channel[voxel];
      classes[voxel] = (short) (outside ? 0 : voxel / 40 % 3);
    }
    channel[3] = 0; // outside of the filled mask, but inside of the box
    MultiChannelImage image =
        new MultiChannelImage(List.of(channel, channel), extents, new Spacing(4, 1, 1));
    PreprocessingPlan plan =
        new PreprocessingPlan(
            List.of(MRI, CT), new Spacing(1, 3, 1.2), new AxisOrder(1, 0, 2), SplineRule.PINNED);
    List<Told> told = new ArrayList<>();
    try (Workers workers = Workers.of(2)) {
      LabeledCase expected = Preprocessing.runLabeled(image, classes, plan, workers);
      LabeledCase staged =
          Preprocessing.runLabeled(
              image, classes, plan, stage -> told.add(Told.of(stage)), workers);
      assertThat(staged.labels()).isEqualTo(expected.labels());
      assertThat(staged.image().geometry()).isEqualTo(expected.image().geometry());
      Told last = told.getLast();
      for (int index = 0; index < 2; index++) {
        float[] values = expected.image().channels().get(index);
        assertThat(staged.image().channels().get(index)).isEqualTo(values);
        assertThat(last.layer(Layer.numbered(index))).isEqualTo(values);
      }
      assertThat(last.layer(Layer.LABEL)).isEqualTo(floats(expected.labels()));
    }
    assertThat(told.get(1).layer(Layer.LABEL)[0]).isEqualTo(-1);
    assertThat(told.get(1).stage().parameters().get("box"))
        .isEqualTo(JsonParser.parseString("[[0, 9], [0, 12], [3, 11]]"));
    assertThat(told.get(2).stage().parameters().get("transposeForward"))
        .isEqualTo(JsonParser.parseString("[1, 0, 2]"));
    assertThat(told.get(3).stage().parameters())
        .isEqualTo(
            JsonParser.parseString(
                """
                {"spacingBefore": [1.0, 4.0, 1.0], "spacingAfter": [1.0, 3.0, 1.2],
                 "shapeBefore": [12, 9, 8], "shapeAfter": [12, 12, 7],
                 "splineRule": "PINNED", "order": 3, "orderOfLabels": 1,
                 "kernels": ["kept", "nearest", "cubic convolution"], "separateAxis": 1,
                 "separateBecause": "spacing before is more than 3 times as large along one axis as along another",
                 "orderAcrossSlices": 0}
                """));
    var normalized = told.get(4).stage().parameters();
    assertThat(normalized.get("arithmetic").getAsString()).isEqualTo("float32");
    var ct = normalized.getAsJsonArray("channels").get(1);
    assertThat(ct)
        .isEqualTo(
            JsonParser.parseString(
                """
                {"name": "CT", "scheme": "CT", "useMask": false, "low": 1.0, "high": 9.0,
                 "mean": 5.0, "divisor": 2.0}
                """));
  }

  private static float[] floats(short[] labels) {
    float[] values = new float[labels.length];
    for (int voxel = 0; voxel < values.length; voxel++) {
      values[voxel] = labels[voxel];
    }
    return values;
  }

  @ParameterizedTest
  @CsvSource({
    "1 1 1, 1 1 1, neither spacing is more than 3 times as large along one axis as along another",
    "5 1 1, 1 1 1, spacing before is more than 3 times as large along one axis as along another",
    "1 1 1, 1 1 4, spacing after is more than 3 times as large along one axis as along another",
    "5 5 1, 1 1 4, 'spacing before is more than 3 times as large along one axis as along another, but is largest along several'"
  })
  void whySlicesAreSeparateIsTold(String before, String after, String reason) {
    assertThat(Resampling.separateReason(spacing(before), spacing(after))).isEqualTo(reason);
  }

  private static Spacing spacing(String text) {
    String[] parts = text.split(" ", -1);
    return new Spacing(
        Double.parseDouble(parts[0]), Double.parseDouble(parts[1]), Double.parseDouble(parts[2]));
  }
}
