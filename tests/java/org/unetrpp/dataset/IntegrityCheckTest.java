package org.unetrpp.dataset;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.unetrpp.testing.SmallDataset.EXTENTS;
import static org.unetrpp.testing.SmallDataset.GEOMETRY;
import static org.unetrpp.testing.SmallDataset.labels;
import static org.unetrpp.testing.SmallDataset.noise;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.Spacing;
import org.unetrpp.pipeline.Progress;
import org.unetrpp.testing.SmallDataset;

class IntegrityCheckTest {
  private static final String LABEL = "labelsTr/a.nii.gz";
  private static final String IMAGE = "imagesTr/a.nii.gz";

  @TempDir Path folder;
  private SmallDataset made;

  @BeforeEach
  void makeOneGoodCase() throws IOException {
    made = SmallDataset.in(folder).withDescription("CT").withCases("a");
  }

  private IntegrityCheck.Report check() throws IOException {
    DatasetFolder dataset = DatasetFolder.open(folder);
    try (CaseWorkers workers =
        CaseWorkers.of(2, IntegrityCheck.caseBytes(dataset), () -> false, Progress.NONE)) {
      return IntegrityCheck.run(dataset, workers);
    }
  }

  private void assertOnly(Problem.Severity severity, String file, String what) throws IOException {
    assertThat(check().problems())
        .singleElement()
        .isEqualTo(new Problem(severity, folder.resolve(file), what));
  }

  private void assertError(String file, String what) throws IOException {
    assertOnly(Problem.Severity.ERROR, file, what);
  }

  private static float[] with(float[] voxels, int index, float value) {
    voxels[index] = value;
    return voxels;
  }

  private static Geometry at(Extents extents, double spacing, double offset) {
    return new Geometry(extents, Affine.ofRows(1, 0, 0, offset, 0, spacing, 0, 0, 0, 0, 2, 0));
  }

  @Test
  void goodDataSetHasNoProblemsAndAFingerprint() throws IOException {
    IntegrityCheck.Report report = check();
    assertThat(report.problems()).isEmpty();
    assertThat(report.labels()).extracting(DatasetLabel::value).containsExactly(0, 1, 2);
    CaseFingerprint found = report.cases().getFirst();
    assertThat(found.id()).isEqualTo("a");
    assertThat(found.size()).isEqualTo(EXTENTS);
    assertThat(found.spacing()).isEqualTo(new Spacing(2, 1, 1));
    assertThat(found.sizeReduction()).isEqualTo(1);
    assertThat(found.samples().getFirst()).hasSize(8); // of 80 voxels
  }

  @Test
  void missingImageIsFound() throws IOException {
    Files.delete(folder.resolve(IMAGE));
    assertThat(check().problems())
        .extracting(Problem::toString)
        .containsExactly(
            folder.resolve(IMAGE)
                + ": its image of case 'a' is missing; add it, or take the case out of the data set");
  }

  @Test
  void missingLabelIsFound() throws IOException {
    made.withDescription(
        "{'modality': {'0': 'CT'}, 'labels': {'1': 'x', '2': 'y'}, 'training': ["
            + "{'image': 'imagesTr/a.nii.gz', 'label': 'labelsTr/a.nii.gz'},"
            + "{'image': 'imagesTr/b.nii.gz', 'label': 'labelsTr/b.nii.gz'}]}",
        '\'');
    made.withCases("b");
    Files.delete(folder.resolve(LABEL));
    assertError(
        LABEL, "the label of case 'a' is missing; add it, or take the case out of the data set");
  }

  @Test
  void missingChannelIsFound() throws IOException {
    Files.delete(folder.resolve(IMAGE));
    made.image("imagesTr/a_0000.nii.gz", GEOMETRY, noise("0"));
    made.withDescription(
        "{'modality': {'0': 'T1', '1': 'T2'}, 'labels': {'1': 'x', '2': 'y'}}", '\'');
    assertError(
        "imagesTr/a_0001.nii.gz",
        "a channel of case 'a' is missing; add it, or take the case out of the data set");
  }

  @Test
  void tooFewVolumesAreFound() throws IOException {
    made.withDescription(
        "{'modality': {'0': 'T1', '1': 'T2'}, 'labels': {'1': 'x', '2': 'y'}}", '\'');
    assertError(IMAGE, "1 channels, expected 2: T1, T2");
  }

  @Test
  void unreadableFilesAreFound() throws IOException {
    Path image = folder.resolve(IMAGE);
    Files.write(image, Arrays.copyOf(Files.readAllBytes(image), 100));
    Path label = Files.writeString(folder.resolve(LABEL), "no image");
    assertThat(check().problems())
        .hasSize(2)
        .allMatch(Problem::isError)
        .extracting(Problem::path)
        .containsExactly(image, label);
    assertThat(check().problems()).allMatch(problem -> !problem.what().contains(folder.toString()));
  }

  @Test
  void labelOfAnotherSizeIsFound() throws IOException {
    Extents other = new Extents(3, 6, 5);
    made.image(LABEL, new Geometry(other, GEOMETRY.affine()), Arrays.copyOf(labels(), 90));
    assertError(
        LABEL,
        "another size than a.nii.gz: 3x6x5, expected 4x6x5 voxels; resample it to that grid");
  }

  @Test
  void labelOfAnotherSpacingIsFound() throws IOException {
    made.image(LABEL, at(EXTENTS, 1.5, 0), labels());
    assertError(
        LABEL,
        "another voxel spacing than a.nii.gz: 2.000 x 1.500 x 1.000, "
            + "expected 2.000 x 1.000 x 1.000 mm; correct its header, or resample it");
  }

  @Test
  void labelElsewhereIsFound() throws IOException {
    made.image(LABEL, at(EXTENTS, 1, 10), labels());
    assertThat(check().errors())
        .singleElement()
        .asString()
        .startsWith(
            folder.resolve(LABEL) + ": another position or orientation than a.nii.gz: affine ");
  }

  @Test
  void roundingOfAnAffineIsNoProblem() throws IOException {
    made.image(LABEL, at(EXTENTS, 1 + 1.0 / 8192, 1.0 / 2048), labels());
    assertThat(check().problems()).isEmpty();
  }

  @Test
  void channelsOfDifferentGridsAreFound() throws IOException {
    Files.delete(folder.resolve(IMAGE));
    made.image("imagesTr/a_0000.nii.gz", GEOMETRY, noise("0"));
    made.image("imagesTr/a_0001.nii.gz", at(EXTENTS, 1, 3), noise("1"));
    made.withDescription(
        "{'modality': {'0': 'T1', '1': 'T2'}, 'labels': {'1': 'x', '2': 'y'}}", '\'');
    assertThat(check().errors())
        .singleElement()
        .asString()
        .contains("a_0001.nii.gz: another position or orientation than a_0000.nii.gz");
  }

  @Test
  void undeclaredLabelsAreFound() throws IOException {
    made.image(LABEL, GEOMETRY, with(with(labels(), 0, 9), 1, 200));
    assertError(
        LABEL,
        "label values [9, 200] are not declared, expected some of [0, 1, 2]; declare them, or relabel the file");
  }

  @Test
  void whatIsNoLabelIsFound() throws IOException {
    made.image(LABEL, GEOMETRY, with(with(with(labels(), 3, 0.5f), 4, 256), 5, -1));
    assertError(LABEL, "3 voxels are no labels, such as 0.5: expected whole numbers from 0 to 255");
    made.image(LABEL, GEOMETRY, with(labels(), 7, Float.NaN));
    assertError(LABEL, "1 voxels are no labels, such as NaN: expected whole numbers from 0 to 255");
  }

  @Test
  void labelOfSeveralVolumesIsFound() throws IOException {
    made.image(LABEL, GEOMETRY, labels(), labels());
    assertError(LABEL, "2 volumes, expected one with labels");
  }

  @Test
  void voxelsThatAreNoNumbersAreFound() throws IOException {
    made.image(IMAGE, GEOMETRY, with(with(noise("a"), 3, Float.NaN), 9, Float.POSITIVE_INFINITY));
    assertError(IMAGE, "2 voxels are NaN or infinite");
  }

  @Test
  void emptyImagesAreFound() throws IOException {
    made.image(IMAGE, GEOMETRY, new float[(int) EXTENTS.voxels()]);
    assertError(IMAGE, "empty: every voxel is 0.0");
    float[] constant = new float[(int) EXTENTS.voxels()];
    Arrays.fill(constant, -1024);
    made.image(IMAGE, GEOMETRY, constant);
    assertError(IMAGE, "empty: every voxel is -1024.0");
  }

  @Test
  void emptyChannelOfAFourDimensionalImageIsNamed() throws IOException {
    made.image(IMAGE, GEOMETRY, noise("0"), new float[(int) EXTENTS.voxels()]);
    made.withDescription(
        "{'modality': {'0': 'T1', '1': 'T2'}, 'labels': {'1': 'x', '2': 'y'}}", '\'');
    assertError(IMAGE, "channel 1 (T2): empty: every voxel is 0.0");
  }

  @Test
  void labelWithoutForegroundIsAWarning() throws IOException {
    made.withCases("b");
    made.image(LABEL, GEOMETRY, new float[(int) EXTENTS.voxels()]);
    assertOnly(Problem.Severity.WARNING, LABEL, "nothing but background");
    assertThat(check().cases()).hasSize(2);
  }

  @Test
  void labelInNoCaseIsAWarning() throws IOException {
    made.withDescription(
        "{'modality': {'0': 'CT'}, 'labels': {'1': 'x', '2': 'y', '4': 'tumor'}}", '\'');
    assertOnly(Problem.Severity.WARNING, "dataset.json", "label 4 (tumor) occurs in no case");
  }

  @Test
  void undeclaredFolderTakesTheLabelsThatOccur() throws IOException {
    Files.delete(folder.resolve("dataset.json"));
    float[] sparse = labels();
    for (int voxel = 0; voxel < sparse.length; voxel++) {
      sparse[voxel] = sparse[voxel] == 1 ? 3 : sparse[voxel] == 2 ? 7 : 0;
    }
    made.image(LABEL, GEOMETRY, sparse);
    IntegrityCheck.Report report = check();
    assertThat(report.problems()).isEmpty();
    assertThat(report.labels())
        .containsExactly(
            new DatasetLabel(0, "background"),
            new DatasetLabel(3, "label 3"),
            new DatasetLabel(7, "label 7"));
  }

  @Test
  void dataSetWithoutForegroundIsFound() throws IOException {
    Files.delete(folder.resolve("dataset.json"));
    made.image(LABEL, GEOMETRY, new float[(int) EXTENTS.voxels()]);
    assertThat(check().errors())
        .containsExactly(
            new Problem(Problem.Severity.ERROR, folder, "no label file has any foreground"));
  }

  @Test
  void differentOrientationsAreAWarning() throws IOException {
    made.withCases("b", "c");
    Geometry flipped = new Geometry(EXTENTS, Affine.ofRows(-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 2, 0));
    made.image(IMAGE, flipped, noise("a"));
    made.image(LABEL, flipped, labels());
    assertOnly(Problem.Severity.WARNING, "", "cases differ in orientation: 2 RAS, 1 LPS");
  }

  @Test
  void allProblemsAreCollected() throws IOException {
    made.withCases("b", "c", "d");
    Files.delete(folder.resolve(IMAGE));
    made.image("labelsTr/b.nii.gz", GEOMETRY, with(labels(), 0, 9));
    made.image("imagesTr/c.nii.gz", GEOMETRY, with(noise("c"), 3, Float.NaN));
    made.image("labelsTr/c.nii.gz", GEOMETRY, with(labels(), 0, 8));
    Files.writeString(folder.resolve("imagesTr/notes.txt"), "x");
    IntegrityCheck.Report report = check();
    assertThat(report.problems())
        .extracting(problem -> folder.relativize(problem.path()).toString())
        .containsExactly(
            "imagesTr/notes.txt",
            "imagesTr/a.nii.gz",
            "labelsTr/b.nii.gz",
            "imagesTr/c.nii.gz",
            "labelsTr/c.nii.gz");
    assertThat(report.errors()).hasSize(4);
    assertThat(report.cases()).extracting(CaseFingerprint::id).containsExactly("d");
  }

  @Test
  void checkCanBeCancelled() throws IOException {
    DatasetFolder dataset = DatasetFolder.open(folder);
    try (CaseWorkers workers = CaseWorkers.of(2, 1, () -> true, Progress.NONE)) {
      assertThatThrownBy(() -> IntegrityCheck.run(dataset, workers))
          .isInstanceOf(CancellationException.class);
    }
  }

  @Test
  void foregroundOutsideOfTheCropIsNotSampled() throws IOException {
    float[] image = noise("a");
    Arrays.fill(image, 0, 60, 0); // the first two of four slices
    made.image(IMAGE, GEOMETRY, image);
    CaseFingerprint found = check().cases().getFirst();
    assertThat(found.size()).isEqualTo(new Extents(2, 6, 5));
    assertThat(found.sizeReduction()).isEqualTo(0.5);
    float[] expected = {image[61], image[76], image[91], image[106]}; // 61, 62, 64, ... every 10th
    assertThat(found.samples().getFirst()).containsExactly(expected);
  }
}
