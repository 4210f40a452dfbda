package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;

class FigureCommandTest {
  private static final int WIDTH = 12;
  private static final int HEIGHT = 10;
  private static final int DEPTH = 6;
  private static final Affine RAS = Affine.ofRows(1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0);

  /** The same places from left to right. */
  private static final Affine LAS = Affine.ofRows(-1, 0, 0, WIDTH - 1, 0, 2, 0, 0, 0, 0, 3, 0);

  @TempDir Path folder;
  private Path image;
  private Path reference;
  private Path prediction;

  @BeforeEach
  void writeVolumes() throws IOException {
    image = folder.resolve("scan.nii.gz");
    reference = folder.resolve("reference.nii.gz");
    prediction = folder.resolve("prediction.nii.gz");
    Geometry grid = grid(RAS);
    float[] voxels = new float[WIDTH * HEIGHT * DEPTH];
    for (int i = 0; i < voxels.length; i++) {
      voxels[i] = i % 97;
    }
    Nifti.writeVolume(image, new Volume(grid, voxels), NiftiHeader.of(grid));
    labels(reference, RAS, 2, 2);
    labels(prediction, RAS, 2, 3);
  }

  private static Geometry grid(Affine affine) {
    return new Geometry(new Extents(DEPTH, HEIGHT, WIDTH), affine);
  }

  /** Writes 4 x 4 voxels of a label from column {@code first}, counted from the patient's left. */
  private static void labels(Path path, Affine affine, int label, int first) throws IOException {
    byte[] labels = new byte[WIDTH * HEIGHT * DEPTH];
    for (int j = 3; j < 7; j++) {
      for (int r = first; r < first + 4; r++) {
        int i = affine.at(0, 0) > 0 ? r : WIDTH - 1 - r;
        labels[(2 * HEIGHT + j) * WIDTH + i] = (byte) label;
      }
    }
    LabelVolume volume = new LabelVolume(grid(affine), labels);
    Nifti.writeLabels(path, volume, NiftiHeader.of(volume.geometry()));
  }

  private CommandRun run(Object... options) {
    List<Object> arguments =
        new ArrayList<>(
            List.of("figure", image, "--reference", reference, "--prediction", prediction));
    arguments.addAll(List.of(options));
    return CommandRun.of(arguments.toArray());
  }

  @Test
  void figureLiesBesideThePrediction() throws IOException {
    CommandRun run = run();
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    Path target = folder.resolve("scan_figure.png");
    assertThat(run.out()).containsExactly(target.toString());
    BufferedImage read = ImageIO.read(target.toFile());
    assertThat(read.getWidth()).isGreaterThanOrEqualTo(640);
    assertThat(read.getHeight()).isGreaterThan(320);
  }

  /** The same figure, whichever way the axes of the files run. */
  @Test
  void axesOfTheFilesMayDiffer() throws IOException {
    run("-o", folder.resolve("same.png"));
    labels(prediction, LAS, 2, 3);
    CommandRun run = run("-o", folder.resolve("other.png"));
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(folder.resolve("other.png")).hasSameBinaryContentAs(folder.resolve("same.png"));
  }

  @Test
  void namesAndColorsComeFromTheUserOrAModel() throws IOException {
    Path model = SmallModel.write(folder.resolve("small.safetensors"), 1);
    run("-o", folder.resolve("model.png"), "--model", model);
    run("-o", folder.resolve("user.png"), "--labels", "2=liver:#aa0000,7=spleen:#00bb00");
    assertThat(folder.resolve("model.png")).hasSameBinaryContentAs(folder.resolve("user.png"));
    run("-o", folder.resolve("own.png"));
    assertThat(Files.mismatch(folder.resolve("model.png"), folder.resolve("own.png")))
        .isNotNegative();
  }

  @Test
  void everyOptionDraws() throws IOException {
    CommandRun run =
        run(
            "--plane",
            "sagittal",
            "--slices",
            2,
            "--size",
            128,
            "--window",
            "40/80",
            "--whole",
            "--no-projection",
            "--dark");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    BufferedImage dark = ImageIO.read(folder.resolve("scan_figure.png").toFile());
    assertThat(dark.getRGB(0, 0) & 0xffffff).isEqualTo(0x101418);
    assertThat(run("--window", "automatic").exitCode()).isZero();
  }

  @Test
  void aChannelOfSeveralIsChosen() throws IOException {
    Volume first = Nifti.open(image).volumes().getFirst();
    Volume other = new Volume(first.geometry(), new float[first.voxels().length]);
    Nifti.writeVolumes(
        image, List.of(other, first), NiftiHeader.of(first.geometry()), VoxelType.FLOAT32);
    run("-o", folder.resolve("0.png"));
    run("-o", folder.resolve("1.png"), "--channel", 1);
    assertThat(Files.mismatch(folder.resolve("0.png"), folder.resolve("1.png"))).isNotNegative();
    CommandRun run = run("--channel", 2);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .containsExactly(
            "error: " + image + ": 2 channels, expected one of number 2, counted from 0");
  }

  @Test
  void filesThatDoNotGoTogetherAreNamed() throws IOException {
    Geometry other = new Geometry(new Extents(DEPTH, HEIGHT, WIDTH + 1), RAS);
    Nifti.writeLabels(
        prediction,
        new LabelVolume(other, new byte[(WIDTH + 1) * HEIGHT * DEPTH]),
        NiftiHeader.of(other));
    assertBadInput(prediction + ": 6x10x13 voxels at ", " are not those of " + reference);
    labels(prediction, Affine.ofRows(1, 0, 0, 0.4, 0, 2, 0, 0, 0, 0, 3, 0), 2, 3);
    assertBadInput(prediction + ": 6x10x12 voxels at ", "; resample it to that grid");
  }

  private void assertBadInput(String start, String part, Object... options) {
    CommandRun run = run(options);
    assertThat(run.exitCode()).as(run.errorText()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err()).hasSize(1);
    assertThat(run.err().getFirst()).startsWith("error: " + start).contains(part);
    assertThat(run.out()).isEmpty();
    assertThat(folder.resolve("scan_figure.png")).doesNotExist();
  }

  @Test
  void labelsWithoutANameAndMissingFilesAreNamed() throws IOException {
    assertBadInput(
        reference.toString(),
        "label 2 has no name, expected one of 1=liver or 0",
        "--labels",
        "1=liver");
    assertBadInput(
        "none.safetensors", ": no such file or built-in model", "--model", "none.safetensors");
    Files.delete(image);
    assertBadInput(image + ": no such file", "");
  }

  @Test
  void inputsAreNotReplaced() throws IOException {
    byte[] before = Files.readAllBytes(prediction);
    CommandRun run = run("-o", prediction);
    assertThat(run.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(run.err())
        .containsExactly("error: " + prediction + ": the figure would replace an input");
    assertThat(prediction).hasBinaryContent(before);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "--labels; liver; class 'liver', expected LABEL=NAME, such as 1=liver,2=spleen",
        "--labels; 1=a,1=b; label '1=b', expected another number and name than before",
        "--labels; 1=a,2=a; label '2=a', expected another number and name than before",
        "--window; 40; --window is '40', expected CENTER/WIDTH, such as 40/400, or automatic",
        "--slices; 0; slices is 0, expected 1 or more",
        "--size; 5; panels of 5 pixels, expected 128 to 2048",
        "--channel; -1; --channel is -1, expected 0 or more",
      })
  void optionsThatMeanNothingAreRefused(String option, String value, String message) {
    CommandRun run = run(option, value);
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err()).contains("error: " + message);
  }
}
