package org.unetrpp.dataset;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.testing.SmallDataset;

class FingerprintTest {
  private static CaseFingerprint of(String id, float[]... samples) {
    return new CaseFingerprint(
        id, SmallDataset.EXTENTS, new Spacing(2, 1, 1), 1, "RAS", List.of(samples));
  }

  @Test
  void statisticsAreThoseOfAllSamplesTogether() {
    Fingerprint fingerprint =
        Fingerprint.of(
            List.of("CT", "PET"),
            List.of(
                of("a", new float[] {1, 101, 100, 99}, new float[0]),
                of("b", new float[] {1, 39, 77, 18}, new float[0])));
    IntensityStatistics ct = fingerprint.statistics().getFirst().orElseThrow();
    // numpy 2: mean, std, percentile of the eight values
    assertThat(ct.mean()).isEqualTo(54.5);
    assertThat(ct.sd()).isCloseTo(41.8568990729127, within(1e-12));
    assertThat(ct.percentile005()).isCloseTo(1.0, within(1e-12));
    assertThat(ct.percentile995()).isCloseTo(100.965, within(1e-12));
    assertThat(fingerprint.statistics().getLast()).isEmpty();
  }

  @Test
  void ctWithoutForegroundCannotBeNormalized() {
    assertThatThrownBy(() -> Fingerprint.of(List.of("CT"), List.of(of("a", new float[0]))))
        .hasMessageContaining("no case has foreground");
  }
}
