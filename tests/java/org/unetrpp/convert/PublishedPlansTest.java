package org.unetrpp.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.dataset.Fingerprint;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.IntensityStatistics;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.SplineRule;
import org.unetrpp.planning.Fold;
import org.unetrpp.planning.ImportedPlan;
import org.unetrpp.planning.PlanImport;
import org.unetrpp.testing.TestResources;

class PublishedPlansTest {
  private static final String FIRST = "hippocampus_148";
  private static final String SECOND = "hippocampus_165";
  private static final String THIRD = "hippocampus_243";
  private static final IntensityStatistics STATISTICS =
      new IntensityStatistics(82.5, 136.5, -958, 326);

  @TempDir Path folder;
  private final PlanImport plans = ServiceLoader.load(PlanImport.class).findFirst().orElseThrow();

  private static Path resource(String name) {
    return TestResources.path("published-plans/" + name);
  }

  private static ImportedPlan hippocampus() {
    return new ImportedPlan(
        new PreprocessingPlan(
            List.of(new ChannelPlan("MRI", NormalizationScheme.NON_CT, false, null)),
            new Spacing(1, 1, 1),
            AxisOrder.IDENTITY,
            SplineRule.PINNED),
        List.of(0, 1, 2),
        new Extents(32, 56, 40),
        9,
        Collections.nCopies(3, Extents.cube(2)),
        false,
        false);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "hippocampus-plans-2.pkl",
        "hippocampus-plans-3.pkl",
        "hippocampus-plans-4.pkl",
        "hippocampus-plans-5.pkl",
        "hippocampus.model.pkl"
      })
  void planIsReadFromEveryProtocolAndFromASideFile(String name) throws IOException {
    assertThat(plans.plan(resource(name), null)).isEqualTo(hippocampus());
  }

  @Test
  void lastOfTwoStagesCountsAndClassesAreSorted() throws IOException {
    ImportedPlan plan = plans.plan(resource("synapse-plans.pkl"), null);
    assertThat(plan.labelValues()).isEqualTo(IntStream.rangeClosed(0, 13).boxed().toList());
    assertThat(plan.batchDice()).isTrue();
    assertThat(plan.sliceWise()).isTrue();
    assertThat(plan.patch()).isEqualTo(new Extents(64, 128, 128));
    assertThat(plan.preprocessing().targetSpacing())
        .isEqualTo(new Spacing(3, 0.75781244, 0.75781244));
    assertThat(plan.preprocessing().channels())
        .containsExactly(new ChannelPlan("CT", NormalizationScheme.CT, false, STATISTICS));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 5})
  void splitsAreReadAsArraysOfTextObjectsAndLists(int protocol) throws IOException {
    assertThat(plans.splits(resource("splits_final-" + protocol + ".pkl")))
        .containsExactly(
            new Fold(List.of(SECOND, THIRD), List.of(FIRST)),
            new Fold(List.of(FIRST, THIRD), List.of(SECOND)),
            new Fold(List.of(FIRST, SECOND), List.of(THIRD)));
    assertThat(plans.splits(resource("objects-splits_final-" + protocol + ".pkl")))
        .containsExactly(new Fold(List.of(FIRST, SECOND), List.of(THIRD)));
  }

  @Test
  void splitsMayBeJson() throws IOException {
    Path path = folder.resolve("splits_final.json");
    Files.writeString(path, "[{\"train\": [\"a\", \"b\"], \"val\": [\"c\"]}]");
    assertThat(plans.splits(path)).containsExactly(new Fold(List.of("a", "b"), List.of("c")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{}                        | not a file of splits: the file is a dict, expected a list",
        "[]                        | not a file of splits: it has no fold",
        "[7]                       | not a file of splits: fold 0 is a None, expected a dictionary",
        "[{\"train\": [\"a\"]}]    | not a file of splits: it has no val",
        "[{\"train\": 3, \"val\": []}] | not a file of splits: train is a None, expected a list",
        "[{\"train\": [], \"val\": []}] | fold 0: a fold without cases to train on",
        "[{\"train\": [\"a\", \"a\"], \"val\": []}] | fold 0: training names case 'a' twice",
        "[                         | is no JSON"
      })
  void splitsThatAreNoneAreRefused(String text, String problem) throws IOException {
    Path path = Files.writeString(folder.resolve("splits.json"), text);
    assertThatThrownBy(() -> plans.splits(path))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageStartingWith(path + ": " + problem);
  }

  @Test
  void propertiesAreAFingerprint() throws IOException {
    Fingerprint fingerprint = plans.properties(resource("dataset_properties.pkl"));
    assertThat(fingerprint.channels()).containsExactly("CT");
    assertThat(fingerprint.sizes())
        .containsExactly(new Extents(32, 48, 34), new Extents(29, 49, 34), new Extents(24, 53, 34));
    assertThat(fingerprint.spacings()).containsOnly(new Spacing(1, 1, 1)).hasSize(3);
    assertThat(fingerprint.sizeReductions()).containsExactly(1.0, 1.0, 1.0);
    assertThat(fingerprint.statistics()).containsExactly(Optional.of(STATISTICS));
  }

  /** The file that is published, and damaged: the length of one text is wrong. */
  @Test
  void damagedPlanIsRefusedWithThePlaceOfTheDamage() {
    Path path = TestResources.path("checkpoints/nnunet-v1-plans/plans.pkl");
    assertThatThrownBy(() -> plans.plan(path, null))
        .isInstanceOf(InvalidFileException.class)
        .hasMessage(
            path
                + ": byte 15094: the pickle stops with 13 unfinished values and 5769 bytes left: it is"
                + " damaged before this, most likely in the length of the text at byte 14980");
  }

  @Test
  void cutOffAndHostileFilesAreRefused() throws IOException {
    byte[] whole = Files.readAllBytes(resource("hippocampus-plans-4.pkl"));
    Path path = folder.resolve("plans.pkl");
    for (int length = 0; length < whole.length; length += 37) {
      Files.write(path, Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> plans.plan(path, null))
          .as("%d of %d bytes", length, whole.length)
          .isInstanceOf(InvalidFileException.class);
    }
    Files.write(path, "cos\nsystem\n(S'ls'\ntR.".getBytes(StandardCharsets.ISO_8859_1));
    assertThatThrownBy(() -> plans.plan(path, null))
        .hasMessageContaining("byte 0: refused: pickle wants to call os.system");
    assertThatThrownBy(() -> plans.splits(path)).hasMessageContaining("call os.system");
    assertThatThrownBy(() -> plans.properties(path)).hasMessageContaining("call os.system");
  }

  @Test
  void filesAreNotTakenForEachOther() {
    assertThatThrownBy(() -> plans.plan(resource("splits_final-4.pkl"), null))
        .hasMessageContaining("not a plans file: the file is a list, expected a dictionary");
    assertThatThrownBy(() -> plans.splits(resource("hippocampus-plans-4.pkl")))
        .hasMessageContaining("not a file of splits: the file is a dict, expected a list");
    assertThatThrownBy(() -> plans.properties(resource("hippocampus-plans-4.pkl")))
        .hasMessageContaining("not a file of dataset properties: it has no all_sizes");
  }
}
