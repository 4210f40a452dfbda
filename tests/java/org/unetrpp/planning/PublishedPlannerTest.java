package org.unetrpp.planning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.AxisOrder;

/** The published planner, executed for the fingerprints of four data sets. */
class PublishedPlannerTest {
  static Fingerprint fingerprint(
      List<String> channels, Extents size, double reduction, List<Spacing> spacings) {
    return new Fingerprint(
        channels,
        Collections.nCopies(spacings.size(), size),
        spacings,
        Collections.nCopies(spacings.size(), reduction),
        Collections.nCopies(channels.size(), Optional.empty()));
  }

  static Fingerprint synapse() {
    Spacing spacing = new Spacing(3, 0.75781244, 0.75781244);
    return fingerprint(
        List.of("CT"), new Extents(148, 512, 512), 1, Collections.nCopies(30, spacing));
  }

  static Fingerprint cardiac() {
    List<Spacing> spacings = new ArrayList<>();
    spacings.addAll(Collections.nCopies(70, new Spacing(10, 1.5625, 1.5625)));
    spacings.addAll(Collections.nCopies(30, new Spacing(5, 1.4, 1.4)));
    spacings.addAll(Collections.nCopies(100, new Spacing(10, 1.7, 1.7)));
    return fingerprint(List.of("MRI"), new Extents(9, 256, 216), 1, spacings);
  }

  static Fingerprint glioma() {
    return fingerprint(
        List.of("FLAIR", "T1w", "t1gd", "T2w"),
        new Extents(138, 170, 138),
        0.35,
        Collections.nCopies(484, new Spacing(1, 1, 1)));
  }

  private static Fingerprint lung() {
    return fingerprint(
        List.of("CT"),
        new Extents(252, 512, 512),
        1,
        Collections.nCopies(63, new Spacing(1.245, 0.785, 0.785)));
  }

  private static void assertSpacing(PublishedPlanner.Stage stage, double... millimeters) {
    assertThat(stage.spacing().toArray()).containsExactly(millimeters, within(5e-7));
  }

  @Test
  void abdominalCt() {
    PublishedPlanner planner = new PublishedPlanner(synapse(), 14);
    assertThat(planner.transposeForward()).isEqualTo(AxisOrder.IDENTITY);
    PublishedPlanner.Stage full = planner.fullResolution();
    assertSpacing(full, 3, 0.75781244, 0.75781244);
    assertThat(full.medianShape()).isEqualTo(new Extents(148, 512, 512));
    assertThat(full.patch()).isEqualTo(new Extents(48, 192, 192));
    assertThat(full.batch()).isEqualTo(2);
    assertThat(full.pools()).isEqualTo(new Extents(3, 5, 5));
    assertThat(full.sliceWise()).isTrue();
    assertThat(
            PublishedPlanner.Pooling.of(full.spacing().toArray(), full.patch().toArray()).levels())
        .containsExactly(
            new Extents(1, 2, 2),
            Extents.cube(2),
            Extents.cube(2),
            Extents.cube(2),
            new Extents(1, 2, 2));
    PublishedPlanner.Stage low = planner.lowResolution().orElseThrow();
    assertSpacing(low, 3.21640606, 1.61430703, 1.61430703);
    assertThat(low.medianShape()).isEqualTo(new Extents(138, 240, 240));
    assertThat(low.patch()).isEqualTo(new Extents(80, 160, 160));
    assertThat(low.sliceWise()).isFalse();
  }

  @Test
  void thickSlicesOfTheHeart() {
    PublishedPlanner planner = new PublishedPlanner(cardiac(), 4);
    PublishedPlanner.Stage stage = planner.fullResolution();
    assertSpacing(stage, 5, 1.63125, 1.63125);
    assertThat(stage.medianShape()).isEqualTo(new Extents(18, 256, 216));
    assertThat(stage.patch()).isEqualTo(new Extents(20, 256, 224));
    assertThat(stage.batch()).isEqualTo(3);
    assertThat(stage.sliceWise()).isTrue();
    assertThat(planner.lowResolution()).isEmpty();
  }

  @Test
  void gliomaInFourModalities() {
    PublishedPlanner planner = new PublishedPlanner(glioma(), 4);
    PublishedPlanner.Stage stage = planner.fullResolution();
    assertThat(stage.patch()).isEqualTo(Extents.cube(128));
    assertThat(stage.batch()).isEqualTo(2);
    assertThat(stage.sliceWise()).isFalse();
    assertThat(planner.lowResolution()).isEmpty();
  }

  @Test
  void lungCt() {
    PublishedPlanner planner = new PublishedPlanner(lung(), 2);
    PublishedPlanner.Stage stage = planner.fullResolution();
    assertThat(stage.patch()).isEqualTo(new Extents(80, 192, 160));
    assertThat(stage.batch()).isEqualTo(2);
    assertThat(stage.sliceWise()).isFalse();
    assertSpacing(planner.lowResolution().orElseThrow(), 2.353625, 1.484013, 1.484013);
  }

  @Test
  void axisOfTheLargestSpacingComesFirst() {
    Fingerprint sagittal =
        fingerprint(
            List.of("MRI"),
            new Extents(200, 180, 30),
            1,
            Collections.nCopies(9, new Spacing(1, 1.5, 4)));
    PublishedPlanner planner = new PublishedPlanner(sagittal, 2);
    assertThat(planner.transposeForward()).isEqualTo(new AxisOrder(2, 0, 1));
    assertThat(planner.targetSpacing()).isEqualTo(new Spacing(1, 1.5, 4));
    assertSpacing(planner.fullResolution(), 4, 1, 1.5);
    assertThat(planner.fullResolution().medianShape()).isEqualTo(new Extents(30, 200, 180));
  }

  @Test
  void thickSlicesGetTheSpacingOfTheThinnerOnesButNotBelowThePlane() {
    List<Spacing> spacings = new ArrayList<>(Collections.nCopies(9, new Spacing(8, 2, 2)));
    spacings.addAll(Collections.nCopies(3, new Spacing(1, 2, 2)));
    Fingerprint mixed = fingerprint(List.of("MRI"), new Extents(10, 200, 200), 1, spacings);
    assertThat(new PublishedPlanner(mixed, 2).targetSpacing().depth()).isEqualTo(2 + 1e-5);
  }
}
