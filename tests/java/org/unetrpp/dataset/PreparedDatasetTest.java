package org.unetrpp.dataset;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.unetrpp.testing.SmallDataset.EXTENTS;
import static org.unetrpp.testing.SmallDataset.GEOMETRY;
import static org.unetrpp.testing.SmallDataset.labels;
import static org.unetrpp.testing.SmallDataset.noise;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.AxisOrder;
import org.unetrpp.pipeline.ChannelPlan;
import org.unetrpp.pipeline.MultiChannelImage;
import org.unetrpp.pipeline.NormalizationScheme;
import org.unetrpp.pipeline.PreprocessedCase;
import org.unetrpp.pipeline.Preprocessing;
import org.unetrpp.pipeline.PreprocessingPlan;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.pipeline.SplineRule;
import org.unetrpp.pipeline.Workers;
import org.unetrpp.testing.SmallDataset;

class PreparedDatasetTest {
  private static final FileTime LONG_AGO = FileTime.fromMillis(1_000_000);

  @TempDir Path folder;

  private static PreparedDataset.Recipe recipe(
      @Nullable Spacing spacing, AxisOrder order, boolean useMask, Integer... values) {
    return new PreparedDataset.Recipe(
        new PreprocessingPlan(
            List.of(new ChannelPlan("MRI", NormalizationScheme.NON_CT, useMask, null)),
            spacing,
            order,
            SplineRule.PINNED),
        List.of(values));
  }

  private static PreparedDataset.Recipe plain() {
    return recipe(null, AxisOrder.IDENTITY, false, 0, 1, 2);
  }

  @MustBeClosed
  private PreparedDataset prepare(Path data, PreparedDataset.Recipe recipe) throws IOException {
    DatasetFolder dataset = DatasetFolder.open(data);
    try (CaseWorkers workers =
        CaseWorkers.of(2, recipe.caseBytes(dataset), () -> false, Progress.NONE)) {
      return PreparedDataset.prepare(folder.resolve("cache"), dataset.cases(), recipe, workers);
    }
  }

  private void prepareOnly(Path data, PreparedDataset.Recipe recipe) throws IOException {
    try (PreparedDataset prepared = prepare(data, recipe)) {
      assertThat(prepared.ids()).isNotEmpty();
    }
  }

  private SmallDataset made(String... ids) throws IOException {
    return SmallDataset.in(folder.resolve("data")).withDescription("MRI").withCases(ids);
  }

  private static float image(PreparedCase prepared, long voxel) {
    return prepared.image().getAtIndex(JAVA_FLOAT_UNALIGNED, voxel);
  }

  private static int label(PreparedCase prepared, long voxel) {
    return prepared.labels().getAtIndex(JAVA_SHORT_UNALIGNED, voxel);
  }

  /** Against NumPy: normalization in double, and numpy.random.RandomState(1234).choice. */
  @Test
  void realCaseIsWhatNumPyMakesOfIt() throws IOException {
    try (PreparedDataset prepared =
        prepare(
            Path.of("data", "hippocampus"),
            recipe(new Spacing(1, 1, 1), AxisOrder.IDENTITY, false, 0, 1, 2))) {
      assertThat(prepared.ids())
          .containsExactly("hippocampus_148", "hippocampus_165", "hippocampus_243");
      PreparedCase found = prepared.open("hippocampus_165");
      assertThat(found.extents()).isEqualTo(new Extents(29, 49, 34));
      assertThat(found.channels()).isEqualTo(1);
      assertThat(image(found, 0)).isCloseTo(-0.4601901f, within(1e-6f));
      assertThat(image(found, 1000)).isCloseTo(-1.0908616f, within(1e-6f));
      assertThat(image(found, 20000)).isCloseTo(1.3267125f, within(1e-6f));
      assertThat(image(found, 48313)).isCloseTo(-0.42515278f, within(1e-6f));
      assertThat(found.locations().getFirst()).hasSize(1544).startsWith(21193, 17930, 14596, 19290);
      assertThat(found.locations().getLast()).hasSize(1479).startsWith(24018, 33539, 25340, 25311);
      assertThat(label(found, 21193)).isEqualTo(1);
      assertThat(label(found, 24018)).isEqualTo(2);
      assertThat(prepared.open("hippocampus_243").locations().getLast())
          .hasSize(1535)
          .startsWith(22618, 16877, 15010, 19021);
    }
  }

  @Test
  void labelsAreCroppedTransposedMappedAndMasked() throws IOException {
    SmallDataset made = SmallDataset.in(folder.resolve("data"));
    float[] image = noise("a");
    Arrays.fill(image, 0, 30, 0); // the first slice is cropped
    image[30] = 0; // a corner: outside
    image[31] = 0; // outside too, but labeled
    image[30 + 30 + 7] = 0; // enclosed: a hole, inside
    float[] values = new float[image.length];
    values[31] = 3;
    values[40] = 7;
    values[5] = 7; // lost with the first slice
    made.image("imagesTr/a.nii.gz", GEOMETRY, image);
    made.image("labelsTr/a.nii.gz", GEOMETRY, values);
    AxisOrder order = new AxisOrder(2, 0, 1);
    try (PreparedDataset prepared = prepare(made.folder(), recipe(null, order, true, 0, 3, 7))) {
      PreparedCase found = prepared.open("a");
      assertThat(found.extents()).isEqualTo(new Extents(5, 3, 6));
      // voxel (d, h, w) of the image lies at (w, d - 1, h)
      assertThat(label(found, 0)).isEqualTo(-1);
      assertThat(image(found, 0)).isZero();
      assertThat(label(found, 18)).isEqualTo(1); // 31: (1, 0, 1)
      assertThat(image(found, 18)).isNotZero();
      assertThat(label(found, 2)).isEqualTo(2); // 40: (1, 2, 0)
      assertThat(label(found, 2 * 18 + 6 + 1)).isZero(); // the hole, (2, 1, 2)
      assertThat(found.locations().getFirst()).containsExactly(18);
      assertThat(found.locations().getLast()).containsExactly(2);
    }
  }

  @Test
  void imagesAreWhatInferencePreprocesses() throws IOException {
    SmallDataset made = made("a");
    float[] image = noise("a");
    Arrays.fill(image, 0, 30, 0);
    made.image("imagesTr/a.nii.gz", GEOMETRY, image);
    PreparedDataset.Recipe recipe =
        recipe(new Spacing(1.2, 1.2, 1.2), new AxisOrder(1, 0, 2), true, 0, 1, 2);
    try (PreparedDataset prepared = prepare(made.folder(), recipe);
        Workers workers = Workers.of(1)) {
      PreparedCase found = prepared.open("a");
      PreprocessedCase expected =
          Preprocessing.run(
              new MultiChannelImage(List.of(image), EXTENTS, SmallDataset.SPACING),
              recipe.preprocessing(),
              workers);
      assertThat(found.extents()).isEqualTo(expected.extents());
      assertThat(found.image().toArray(JAVA_FLOAT_UNALIGNED))
          .isEqualTo(expected.channels().getFirst());
      assertThat(found.labels().byteSize()).isEqualTo(2 * expected.extents().voxels());
    }
  }

  @Test
  void whatIsThereIsKeptUntilItsSourceOrRecipeChanges() throws IOException {
    SmallDataset made = made("a", "b");
    Path a = folder.resolve("cache/a.safetensors");
    Path b = folder.resolve("cache/b.safetensors");
    prepareOnly(made.folder(), plain());
    Files.setLastModifiedTime(a, LONG_AGO);
    Files.setLastModifiedTime(b, LONG_AGO);

    prepareOnly(made.folder(), plain());
    assertThat(Files.getLastModifiedTime(a)).isEqualTo(LONG_AGO);
    assertThat(Files.getLastModifiedTime(b)).isEqualTo(LONG_AGO);

    Files.setLastModifiedTime(made.folder().resolve("labelsTr/a.nii.gz"), LONG_AGO);
    prepareOnly(made.folder(), plain());
    assertThat(Files.getLastModifiedTime(a)).isGreaterThan(LONG_AGO);
    assertThat(Files.getLastModifiedTime(b)).isEqualTo(LONG_AGO);

    prepareOnly(made.folder(), recipe(new Spacing(2, 1, 1), AxisOrder.IDENTITY, false, 0, 1, 2));
    assertThat(Files.getLastModifiedTime(b)).isGreaterThan(LONG_AGO);
  }

  @Test
  void damagedFileIsMadeAnew() throws IOException {
    SmallDataset made = made("a");
    prepareOnly(made.folder(), plain());
    Path file = folder.resolve("cache/a.safetensors");
    byte[] whole = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(whole, whole.length - 7));
    prepareOnly(made.folder(), plain());
    assertThat(Files.readAllBytes(file)).isEqualTo(whole);
  }

  @Test
  void severalChannelsFollowEachOther() throws IOException {
    SmallDataset made = SmallDataset.in(folder.resolve("data"));
    made.image("imagesTr/a_0000.nii.gz", GEOMETRY, noise("0"));
    made.image("imagesTr/a_0001.nii.gz", GEOMETRY, noise("1"));
    made.image("imagesTr/b.nii.gz", GEOMETRY, noise("0"), noise("1"));
    made.image("labelsTr/a.nii.gz", GEOMETRY, labels());
    made.image("labelsTr/b.nii.gz", GEOMETRY, labels());
    ChannelPlan channel = new ChannelPlan("x", NormalizationScheme.NON_CT, false, null);
    PreparedDataset.Recipe recipe =
        new PreparedDataset.Recipe(
            new PreprocessingPlan(
                List.of(channel, channel), null, AxisOrder.IDENTITY, SplineRule.PINNED),
            List.of(0, 1, 2));
    try (PreparedDataset prepared = prepare(made.folder(), recipe)) {
      PreparedCase a = prepared.open("a");
      assertThat(a.channels()).isEqualTo(2);
      assertThat(a.image().mismatch(prepared.open("b").image())).isEqualTo(-1);
      assertThat(image(a, 0)).isNotEqualTo(image(a, EXTENTS.voxels()));
      assertThat(prepared.open("a")).isSameAs(a);
    }
  }

  @Test
  void filesThatTheRecipeDoesNotFitAreRefused() throws IOException {
    SmallDataset made = made("a");
    assertThatThrownBy(
            () -> prepareOnly(made.folder(), recipe(null, AxisOrder.IDENTITY, false, 0, 1)))
        .isInstanceOf(InvalidFileException.class)
        .hasMessage(
            made.folder().resolve("labelsTr/a.nii.gz")
                + ": voxel 2 is 2.0, expected one of the plan's labels [0, 1]");
    float[] image = noise("a");
    image[7] = Float.NaN;
    made.image("imagesTr/a.nii.gz", GEOMETRY, image);
    assertThatThrownBy(() -> prepareOnly(made.folder(), plain()))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContaining("imagesTr/a.nii.gz: channel 0 is NaN at voxel (0, 1, 2)");
    made.image("imagesTr/a.nii.gz", GEOMETRY, noise("a"), noise("b"));
    assertThatThrownBy(() -> prepareOnly(made.folder(), plain()))
        .hasMessageContaining("2 channels, expected 1 as in the plan");
    assertThat(folder.resolve("cache")).isEmptyDirectory();
  }

  @Test
  void unknownCaseIsNamed() throws IOException {
    try (PreparedDataset prepared = prepare(made("a").folder(), plain())) {
      assertThatThrownBy(() -> prepared.open("z"))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("case 'z' was not prepared");
    }
  }

  @Test
  void preparingCanBeCancelled() throws IOException {
    DatasetFolder dataset = DatasetFolder.open(made("a").folder());
    try (CaseWorkers workers = CaseWorkers.of(2, 1, () -> true, Progress.NONE)) {
      assertThatThrownBy(
              () -> {
                try (PreparedDataset prepared =
                    PreparedDataset.prepare(
                        folder.resolve("cache"), dataset.cases(), plain(), workers)) {
                  assertThat(prepared.ids()).isEmpty();
                }
              })
          .isInstanceOf(CancellationException.class);
    }
  }
}
