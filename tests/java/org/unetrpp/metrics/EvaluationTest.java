package org.unetrpp.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;

class EvaluationTest {
  private static final Spacing MILLIMETER = new Spacing(1, 1, 1);
  private static final Spacing ANISOTROPIC = new Spacing(2.5, 0.8, 0.7);
  private static final Structure ONE = Structure.of("one", 1);
  private static final Settings VOXELS = new Settings(Convention.VOXELS, 1, true);

  /** Sums of some hundred rounded numbers, against sums in another order. */
  private static final double ROUNDING = 1e-11;

  private static StructureEvaluation evaluate(
      LabelVolume prediction, LabelVolume reference, Settings settings) {
    return Evaluation.of(prediction, reference, List.of(ONE), settings).structure("one");
  }

  private static StructureEvaluation evaluate(
      Extents extents, Labels.Rule prediction, Labels.Rule reference, Settings settings) {
    return evaluate(
        Labels.of(extents, MILLIMETER, prediction),
        Labels.of(extents, MILLIMETER, reference),
        settings);
  }

  @Test
  void twoBoxesHaveThePublishedDistances() {
    Extents extents = new Extents(10, 12, 14);
    StructureEvaluation evaluation =
        evaluate(
            extents, Labels.box(2, 6, 3, 8, 4, 9), Labels.box(3, 8, 2, 7, 5, 12), Settings.DEFAULT);
    assertThat(evaluation.value(Metric.HD95)).isCloseTo(3.1622777, within(5e-8));
    assertThat(evaluation.value(Metric.HD)).isCloseTo(3.7416574, within(5e-8));
    assertThat(evaluation.value(Metric.ASD)).isCloseTo(0.8937610, within(5e-8));
    // Mean of the means of both directions; that of all distances would be 1.3914910.
    assertThat(evaluation.value(Metric.ASSD)).isCloseTo(1.2996024, within(5e-8));
    assertThat(evaluation.value(Metric.DICE)).isCloseTo(0.3490909, within(5e-8));
  }

  @Test
  void spacingCountsInMillimetersOnly() {
    Extents extents = new Extents(10, 12, 14);
    Spacing spacing = new Spacing(3, 1, 1);
    LabelVolume prediction = Labels.of(extents, spacing, Labels.box(2, 6, 3, 8, 4, 9));
    LabelVolume reference = Labels.of(extents, spacing, Labels.box(3, 8, 2, 7, 5, 12));
    assertThat(evaluate(prediction, reference, Settings.DEFAULT).value(Metric.HD95))
        .isCloseTo(6.1195057, within(5e-8));
    assertThat(evaluate(prediction, reference, VOXELS).value(Metric.HD95))
        .isCloseTo(3.1622777, within(5e-8));
  }

  @Test
  void voxelsOnTheEdgeOfTheVolumeAreSurface() {
    Extents extents = new Extents(1, 5, 5);
    Labels.Rule rows = (_, row, _) -> row < 2 ? 1 : 0;
    StructureEvaluation evaluation = evaluate(extents, Labels.everywhere(1), rows, VOXELS);
    assertThat(evaluation.value(Metric.HD95)).isEqualTo(3);
  }

  // Computed with scipy 1.x: binary_erosion with 6 neighbors and border_value=0, then
  // distance_transform_edt(sampling=spacing), numpy.percentile and mean.
  @ParameterizedTest(name = "{0}, spacing {1} x {2} x {3}")
  @CsvSource({
    "scatter, 1, 1, 1, 5.099019513593, 3, 0.912235677188, 1.004758440864, 0.839256194151",
    "scatter, 2.5, 0.8, 0.7, 5.590169943749, 3.2, 0.683566108729, 0.845740332576, 0.822176304429",
    "blobs, 1, 1, 1, 5.830951894845, 4.242640687119, 1.481853745108, 1.226973270786, "
        + "0.733142511145",
    "blobs, 2.5, 0.8, 0.7, 10.522832318345, 7.668767828015, 2.529362408959, 1.968959221063, "
        + "0.390423570792",
  })
  void distancesAreThoseOfScipy(
      String masks,
      double depth,
      double height,
      double width,
      double hd,
      double hd95,
      double asd,
      double assd,
      double surfaceDice) {
    boolean blobs = masks.equals("blobs");
    Extents extents = new Extents(9, 14, 17);
    Spacing spacing = new Spacing(depth, height, width);
    Labels.Rule tested = blobs ? EvaluationTest::twoBlobs : EvaluationTest::scatter;
    Labels.Rule expected = blobs ? EvaluationTest::blobAndCorner : EvaluationTest::otherScatter;
    StructureEvaluation evaluation =
        evaluate(
            Labels.of(extents, spacing, tested),
            Labels.of(extents, spacing, expected),
            Settings.DEFAULT);
    Confusion confusion =
        blobs ? new Confusion(152, 198, 86, 1706) : new Confusion(174, 431, 552, 985);
    assertThat(evaluation.confusion()).isEqualTo(confusion);
    assertThat(evaluation.value(Metric.HD)).isCloseTo(hd, within(ROUNDING));
    assertThat(evaluation.value(Metric.HD95)).isCloseTo(hd95, within(ROUNDING));
    assertThat(evaluation.value(Metric.ASD)).isCloseTo(asd, within(ROUNDING));
    assertThat(evaluation.value(Metric.ASSD)).isCloseTo(assd, within(ROUNDING));
    assertThat(evaluation.value(Metric.SURFACE_DICE)).isCloseTo(surfaceDice, within(ROUNDING));
  }

  private static int scatter(int z, int y, int x) {
    return (z * 7 + y * 3 + x * 5) % 11 < 4 && z + y < 15 ? 1 : 0;
  }

  private static int otherScatter(int z, int y, int x) {
    return (z * 5 + y * 3 + x * 7) % 13 < 5 && x + y > 6 ? 1 : 0;
  }

  private static int twoBlobs(int z, int y, int x) {
    return Math.max(blob(z - 4, y - 6, x - 7, 70), blob(z - 7, y - 12, x - 14, 20));
  }

  private static int blobAndCorner(int z, int y, int x) {
    return Math.max(blob(z - 3, y - 7, x - 8, 60), blob(z, y, x, 10));
  }

  private static int blob(int z, int y, int x, int size) {
    return 16 * z * z + 4 * y * y + x * x <= size ? 1 : 0;
  }

  @ParameterizedTest
  @CsvSource({"5, 6, 7, 0.03", "5, 6, 7, 0.4", "4, 5, 6, 0.9", "1, 8, 9, 0.5", "7, 1, 1, 0.5"})
  void distancesAreThoseOfEveryPairOfSurfaceVoxels(int depth, int height, int width, double share) {
    Extents extents = new Extents(depth, height, width);
    for (int seed = 0; seed < 10; seed++) {
      Random random = new Random(seed);
      LabelVolume prediction = Labels.random(extents, ANISOTROPIC, 2, share, random);
      LabelVolume reference = Labels.random(extents, ANISOTROPIC, 2, share, random);
      StructureEvaluation evaluation = evaluate(prediction, reference, Settings.DEFAULT);
      Oracle oracle = new Oracle(prediction, reference);
      assertThat(evaluation.value(Metric.HD)).isCloseTo(oracle.hausdorff(), within(ROUNDING));
      assertThat(evaluation.value(Metric.HD95)).isCloseTo(oracle.hausdorff95(), within(ROUNDING));
      assertThat(evaluation.value(Metric.ASD)).isCloseTo(oracle.average(), within(ROUNDING));
      assertThat(evaluation.value(Metric.SURFACE_DICE))
          .isCloseTo(oracle.surfaceDice(1), within(ROUNDING));
    }
  }

  /** Distances by definition: from each surface voxel to each of the other mask. */
  private static final class Oracle {
    private final double[] toReference;
    private final double[] toTest;

    Oracle(LabelVolume test, LabelVolume reference) {
      List<int[]> testSurface = surface(test);
      List<int[]> referenceSurface = surface(reference);
      toReference = distances(testSurface, referenceSurface, test.spacing());
      toTest = distances(referenceSurface, testSurface, test.spacing());
    }

    double hausdorff() {
      return pooled()[pooled().length - 1];
    }

    double hausdorff95() {
      double[] pooled = pooled();
      double rank = (pooled.length - 1) * 0.95;
      double below = pooled[(int) Math.floor(rank)];
      double above = pooled[(int) Math.ceil(rank)];
      return below + (above - below) * (rank - Math.floor(rank));
    }

    double average() {
      return Arrays.stream(toReference).sum() / toReference.length;
    }

    double surfaceDice(double tolerance) {
      double near = within(toReference, tolerance) + within(toTest, tolerance);
      return near / (2 + 1e-8);
    }

    private static double within(double[] distances, double tolerance) {
      return (double) Arrays.stream(distances).filter(d -> d <= tolerance).count()
          / distances.length;
    }

    private double[] pooled() {
      double[] pooled = Arrays.copyOf(toReference, toReference.length + toTest.length);
      System.arraycopy(toTest, 0, pooled, toReference.length, toTest.length);
      Arrays.sort(pooled);
      return pooled;
    }

    private static double[] distances(List<int[]> from, List<int[]> to, Spacing spacing) {
      return from.stream()
          .mapToDouble(a -> to.stream().mapToDouble(b -> distance(a, b, spacing)).min().orElse(-1))
          .toArray();
    }

    private static double distance(int[] a, int[] b, Spacing spacing) {
      double sum = 0;
      for (int axis = 0; axis < 3; axis++) {
        sum += Math.pow((a[axis] - b[axis]) * spacing.along(axis), 2);
      }
      return Math.sqrt(sum);
    }

    private static List<int[]> surface(LabelVolume volume) {
      List<int[]> surface = new ArrayList<>();
      for (int d = 0; d < volume.extents().depth(); d++) {
        for (int h = 0; h < volume.extents().height(); h++) {
          for (int w = 0; w < volume.extents().width(); w++) {
            boolean interior =
                isOne(volume, d - 1, h, w)
                    && isOne(volume, d + 1, h, w)
                    && isOne(volume, d, h - 1, w)
                    && isOne(volume, d, h + 1, w)
                    && isOne(volume, d, h, w - 1)
                    && isOne(volume, d, h, w + 1);
            if (isOne(volume, d, h, w) && !interior) {
              surface.add(new int[] {d, h, w});
            }
          }
        }
      }
      return surface;
    }

    private static boolean isOne(LabelVolume volume, int d, int h, int w) {
      Extents extents = volume.extents();
      boolean inside =
          d >= 0
              && h >= 0
              && w >= 0
              && d < extents.depth()
              && h < extents.height()
              && w < extents.width();
      return inside && volume.labels()[(d * extents.height() + h) * extents.width() + w] == 1;
    }
  }

  @Test
  void overlapsAreThoseOfTheConfusion() {
    Extents extents = new Extents(1, 4, 5);
    // 20 voxels: 3 in both, 2 in the prediction only, 5 in the reference only.
    byte[] tested = new byte[20];
    byte[] expected = new byte[20];
    Arrays.fill(tested, 0, 5, (byte) 1);
    Arrays.fill(expected, 2, 10, (byte) 1);
    Geometry geometry = new Geometry(extents, Affine.ofSpacing(new Spacing(10, 5, 4)));
    StructureEvaluation evaluation =
        evaluate(
            new LabelVolume(geometry, tested),
            new LabelVolume(geometry, expected),
            Settings.DEFAULT);
    assertThat(evaluation.confusion()).isEqualTo(new Confusion(3, 2, 5, 10));
    assertThat(evaluation.values())
        .containsEntry(Metric.DICE, 6.0 / 13)
        .containsEntry(Metric.JACCARD, 3.0 / 10)
        .containsEntry(Metric.PRECISION, 3.0 / 5)
        .containsEntry(Metric.RECALL, 3.0 / 8)
        .containsEntry(Metric.TRUE_NEGATIVE_RATE, 10.0 / 12)
        .containsEntry(Metric.ACCURACY, 13.0 / 20)
        .containsEntry(Metric.FALSE_POSITIVE_RATE, 1 - 10.0 / 12)
        .containsEntry(Metric.FALSE_NEGATIVE_RATE, 1 - 3.0 / 8)
        .containsEntry(Metric.FALSE_DISCOVERY_RATE, 1 - 3.0 / 5)
        .containsEntry(Metric.FALSE_OMISSION_RATE, 5.0 / 15)
        .containsEntry(Metric.NEGATIVE_PREDICTIVE_VALUE, 1 - 5.0 / 15)
        .containsEntry(Metric.TOTAL_POSITIVES_TEST, 5.0)
        .containsEntry(Metric.TOTAL_POSITIVES_REFERENCE, 8.0)
        .containsEntry(Metric.TOTAL_NEGATIVES_TEST, 15.0)
        .containsEntry(Metric.TOTAL_NEGATIVES_REFERENCE, 12.0)
        .containsEntry(Metric.TEST_VOLUME_ML, 1.0)
        .containsEntry(Metric.REFERENCE_VOLUME_ML, 8 * 0.2)
        .containsEntry(Metric.VOLUME_ERROR_ML, -3 * 0.2)
        .containsEntry(Metric.RELATIVE_VOLUME_ERROR, -3.0 / 8);
  }

  @Test
  void sameLabelsAgree() {
    Extents extents = new Extents(6, 7, 8);
    Labels.Rule box = Labels.box(0, 4, 2, 7, 3, 8);
    StructureEvaluation evaluation = evaluate(extents, box, box, Settings.DEFAULT);
    assertThat(evaluation.value(Metric.DICE)).isEqualTo(1);
    assertThat(evaluation.value(Metric.HD)).isZero();
    assertThat(evaluation.value(Metric.HD95)).isZero();
    assertThat(evaluation.value(Metric.ASSD)).isZero();
    assertThat(evaluation.value(Metric.SURFACE_DICE)).isEqualTo(2 / (2 + 1e-8));
    assertThat(evaluation.value(Metric.VOLUME_ERROR_ML)).isZero();
  }

  @Test
  void symmetricMetricsDoNotChangeWhenVolumesAreExchanged() {
    Extents extents = new Extents(6, 7, 8);
    Random random = new Random(3);
    LabelVolume a = Labels.random(extents, ANISOTROPIC, 1, 0.2, random);
    LabelVolume b = Labels.random(extents, ANISOTROPIC, 1, 0.3, random);
    StructureEvaluation there = evaluate(a, b, Settings.DEFAULT);
    StructureEvaluation back = evaluate(b, a, Settings.DEFAULT);
    for (Metric metric :
        List.of(
            Metric.DICE,
            Metric.JACCARD,
            Metric.HD,
            Metric.HD95,
            Metric.ASSD,
            Metric.SURFACE_DICE)) {
      assertThat(back.value(metric)).as(metric.key()).isEqualTo(there.value(metric));
    }
    assertThat(back.value(Metric.RECALL)).isEqualTo(there.value(Metric.PRECISION));
    assertThat(back.value(Metric.VOLUME_ERROR_ML)).isEqualTo(-there.value(Metric.VOLUME_ERROR_ML));
  }

  @Test
  void whatLiesAroundDoesNotChangeDistances() {
    Random random = new Random(4);
    LabelVolume a = Labels.random(new Extents(4, 5, 6), ANISOTROPIC, 1, 0.5, random);
    LabelVolume b = Labels.random(new Extents(4, 5, 6), ANISOTROPIC, 1, 0.5, random);
    StructureEvaluation alone = evaluate(a, b, Settings.DEFAULT);
    StructureEvaluation within = evaluate(placed(a), placed(b), Settings.DEFAULT);
    for (Metric metric : EnumSet.of(Metric.HD, Metric.HD95, Metric.ASD, Metric.SURFACE_DICE)) {
      assertThat(within.value(metric)).as(metric.key()).isEqualTo(alone.value(metric));
    }
  }

  /** The volume inside of a larger one that holds another label. */
  private static LabelVolume placed(LabelVolume volume) {
    return Labels.of(
        new Extents(9, 10, 11),
        volume.spacing(),
        (d, h, w) ->
            Labels.box(2, 6, 1, 6, 5, 11).at(d, h, w) == 0
                ? 7
                : volume.labels()[((d - 2) * 5 + h - 1) * 6 + w - 5]);
  }

  @ParameterizedTest
  @EnumSource(Convention.class)
  void neitherMaskHasAVoxel(Convention convention) {
    Settings settings = new Settings(convention, 1, true);
    StructureEvaluation evaluation =
        evaluate(new Extents(2, 3, 4), Labels.everywhere(0), Labels.everywhere(2), settings);
    boolean voxels = convention == Convention.VOXELS;
    assertThat(evaluation.value(Metric.DICE)).isEqualTo(Double.valueOf(voxels ? 1 : Double.NaN));
    assertThat(evaluation.value(Metric.HD95)).isEqualTo(Double.valueOf(voxels ? 0 : Double.NaN));
    assertThat(undefined(evaluation))
        .containsAll(
            EnumSet.of(
                Metric.JACCARD,
                Metric.PRECISION,
                Metric.RECALL,
                Metric.FALSE_NEGATIVE_RATE,
                Metric.FALSE_DISCOVERY_RATE,
                Metric.RELATIVE_VOLUME_ERROR,
                Metric.HD,
                Metric.ASD,
                Metric.ASSD,
                Metric.SURFACE_DICE));
    assertThat(evaluation.value(Metric.ACCURACY)).isEqualTo(1);
    assertThat(evaluation.value(Metric.VOLUME_ERROR_ML)).isZero();
  }

  @ParameterizedTest
  @EnumSource(Convention.class)
  void oneMaskIsEmpty(Convention convention) {
    Settings settings = new Settings(convention, 1, true);
    Labels.Rule box = Labels.box(0, 1, 0, 2, 0, 2);
    StructureEvaluation missed =
        evaluate(new Extents(2, 3, 4), Labels.everywhere(0), box, settings);
    StructureEvaluation invented =
        evaluate(new Extents(2, 3, 4), box, Labels.everywhere(0), settings);
    for (StructureEvaluation evaluation : List.of(missed, invented)) {
      assertThat(evaluation.value(Metric.DICE)).isZero();
      assertThat(evaluation.value(Metric.HD95))
          .isEqualTo(Double.valueOf(convention == Convention.VOXELS ? 0 : Double.NaN));
      assertThat(evaluation.value(Metric.HD)).isNaN();
    }
    assertThat(missed.value(Metric.PRECISION)).isNaN();
    assertThat(missed.value(Metric.RECALL)).isZero();
    assertThat(missed.value(Metric.RELATIVE_VOLUME_ERROR)).isEqualTo(-1);
    assertThat(invented.value(Metric.PRECISION)).isZero();
    assertThat(invented.value(Metric.RECALL)).isNaN();
    assertThat(invented.value(Metric.RELATIVE_VOLUME_ERROR)).isNaN();
  }

  @Test
  void fullMasksHaveNoDistancesInMillimeters() {
    Extents extents = new Extents(2, 3, 4);
    Labels.Rule box = Labels.box(0, 1, 0, 2, 0, 2);
    StructureEvaluation full = evaluate(extents, Labels.everywhere(1), box, Settings.DEFAULT);
    assertThat(undefined(full))
        .containsExactlyInAnyOrder(
            Metric.FALSE_OMISSION_RATE,
            Metric.NEGATIVE_PREDICTIVE_VALUE,
            Metric.HD,
            Metric.HD95,
            Metric.ASD,
            Metric.ASSD,
            Metric.SURFACE_DICE);
    StructureEvaluation expected = evaluate(extents, box, Labels.everywhere(1), Settings.DEFAULT);
    assertThat(undefined(expected))
        .contains(Metric.TRUE_NEGATIVE_RATE, Metric.FALSE_POSITIVE_RATE, Metric.HD95)
        .doesNotContain(Metric.FALSE_OMISSION_RATE);
    assertThat(evaluate(extents, Labels.everywhere(1), box, VOXELS).value(Metric.HD))
        .isEqualTo(Math.sqrt(1 + 1 + 4));
  }

  private static Set<Metric> undefined(StructureEvaluation evaluation) {
    Set<Metric> metrics = EnumSet.allOf(Metric.class);
    metrics.removeIf(metric -> !Double.isNaN(evaluation.value(metric)));
    return metrics;
  }

  @Test
  void regionIsTheUnionOfItsLabels() {
    Extents extents = new Extents(5, 6, 7);
    Random random = new Random(5);
    LabelVolume prediction = Labels.random(extents, ANISOTROPIC, 4, 0.7, random);
    LabelVolume reference = Labels.random(extents, ANISOTROPIC, 4, 0.7, random);
    Structure region = Structure.of("core", List.of(2, 4));
    StructureEvaluation joint =
        Evaluation.of(prediction, reference, List.of(ONE, region), Settings.DEFAULT)
            .structure("core");
    StructureEvaluation merged = evaluate(merged(prediction), merged(reference), Settings.DEFAULT);
    assertThat(joint.values()).isEqualTo(merged.values());
  }

  private static LabelVolume merged(LabelVolume volume) {
    byte[] labels = volume.labels().clone();
    for (int i = 0; i < labels.length; i++) {
      labels[i] = (byte) (labels[i] == 2 || labels[i] == 4 ? 1 : 0);
    }
    return new LabelVolume(volume.geometry(), labels);
  }

  @Test
  void labelsUpTo255AreUnsigned() {
    Extents extents = new Extents(3, 3, 3);
    LabelVolume prediction = Labels.of(extents, MILLIMETER, (d, _, _) -> d == 0 ? 255 : 128);
    LabelVolume reference = Labels.of(extents, MILLIMETER, (d, _, _) -> d <= 1 ? 255 : 0);
    List<Structure> found = Evaluation.foreground(prediction, reference);
    assertThat(found).containsExactly(Structure.of("128", 128), Structure.of("255", 255));
    CaseEvaluation evaluation = Evaluation.of(prediction, reference, found, Settings.DEFAULT);
    assertThat(evaluation.structure("255").value(Metric.DICE)).isEqualTo(2 * 9.0 / (9 + 18));
    assertThat(evaluation.structure("255").value(Metric.HD)).isEqualTo(1);
    assertThat(evaluation.structure("128").value(Metric.RECALL)).isNaN();
  }

  @Test
  void distancesAreLeftOutOnRequest() {
    Extents extents = new Extents(3, 3, 3);
    StructureEvaluation evaluation =
        evaluate(
            extents,
            Labels.box(0, 1, 0, 1, 0, 1),
            Labels.box(0, 2, 0, 2, 0, 2),
            Settings.DEFAULT.withoutDistances());
    assertThat(evaluation.values())
        .containsKey(Metric.DICE)
        .doesNotContainKeys(Metric.HD, Metric.HD95, Metric.ASD, Metric.ASSD, Metric.SURFACE_DICE);
    assertThatThrownBy(() -> evaluation.value(Metric.HD95))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("HD95 was not evaluated");
  }

  @Test
  void toleranceDecidesWhatSurfacesAgree() {
    Extents extents = new Extents(1, 1, 10);
    Labels.Rule left = Labels.box(0, 1, 0, 1, 2, 3);
    Labels.Rule right = Labels.box(0, 1, 0, 1, 5, 6);
    for (double tolerance : new double[] {0, 2.9, 3, 4}) {
      Settings settings = new Settings(Convention.MILLIMETERS, tolerance, true);
      assertThat(evaluate(extents, left, right, settings).value(Metric.SURFACE_DICE))
          .isEqualTo(tolerance < 3 ? 0 : 2 / (2 + 1e-8));
    }
  }

  @Test
  void volumesOnDifferentGridsAreRefused() {
    LabelVolume prediction = Labels.of(new Extents(2, 3, 4), MILLIMETER, Labels.everywhere(1));
    LabelVolume smaller = Labels.of(new Extents(2, 3, 3), MILLIMETER, Labels.everywhere(1));
    LabelVolume elsewhere = Labels.of(new Extents(2, 3, 4), ANISOTROPIC, Labels.everywhere(1));
    for (LabelVolume other : List.of(smaller, elsewhere)) {
      assertThatThrownBy(() -> evaluate(prediction, other, Settings.DEFAULT))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("expected the grid of the reference");
      assertThatThrownBy(() -> Evaluation.foreground(prediction, other))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void namesAreDifferent() {
    LabelVolume volume = Labels.of(new Extents(2, 3, 4), MILLIMETER, Labels.everywhere(1));
    List<Structure> structures = List.of(ONE, Structure.of("one", 2));
    assertThatThrownBy(() -> Evaluation.of(volume, volume, structures, Settings.DEFAULT))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("two structures have the name one");
    assertThatThrownBy(() -> Structure.of(" ", 2))
        .hasMessage("the structure of labels [2] has no name");
    assertThatThrownBy(() -> Structure.of("a", 256))
        .hasMessage("structure a has labels [256], expected some from 0 to 255");
    assertThatThrownBy(() -> Structure.of("a", List.of()))
        .hasMessage("structure a has labels [], expected some from 0 to 255");
    assertThatThrownBy(() -> new Settings(Convention.VOXELS, Double.NaN, true))
        .hasMessage("tolerance is NaN, expected 0 or more voxels");
  }
}
