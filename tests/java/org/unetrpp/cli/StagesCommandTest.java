package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallDataset;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.weights.NumpyFile;

/** {@code --dump-stages}, {@code preprocess} and {@code compare}. */
class StagesCommandTest {
  @TempDir Path folder;
  private Path model;
  private Path image;
  private SmallDataset data;
  private Path plan;

  @BeforeEach
  void makeCases() throws IOException {
    model = SmallModel.write(folder.resolve("model.safetensors"), 2);
    Path images = Files.createDirectory(folder.resolve("images"));
    image = images.resolve("x_0000.nii.gz");
    for (int channel = 0; channel < 2; channel++) {
      Volume volume = SmallModel.image("channel " + channel, 13, 34, 36);
      Nifti.writeVolume(
          images.resolve("x_000%d.nii.gz".formatted(channel)),
          volume,
          NiftiHeader.of(volume.geometry()));
    }
    data = SmallDataset.in(folder.resolve("data")).withDescription("CT").withCases("a", "b");
    plan = folder.resolve("plan.json");
    CommandRun run = CommandRun.of("plan", data.folder(), "-o", plan);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
  }

  private CommandRun segment(Path stages, Object... arguments) {
    Object[] first = {
      "segment", image, "--model", model, "--no-mirroring", "--dump-stages", stages
    };
    return CommandRun.of(Stream.concat(Arrays.stream(first), Arrays.stream(arguments)).toArray());
  }

  private Path segmented(String name, Object... arguments) {
    Path stages = folder.resolve(name);
    CommandRun run = segment(stages, arguments);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    return stages;
  }

  private Path preprocessed(String name, Path ofPlan) {
    Path stages = folder.resolve(name);
    CommandRun run = CommandRun.of("preprocess", "a", "--plan", ofPlan, "--dump-stages", stages);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).containsExactly(stages.toString());
    return stages;
  }

  /** The plan with a text replaced. */
  private Path changed(String from, String to) throws IOException {
    String text = Files.readString(plan);
    assertThat(text).containsPattern(from);
    return Files.writeString(folder.resolve("changed.json"), text.replaceFirst(from, to));
  }

  @Test
  void dumpingChangesNoResult() throws IOException {
    CommandRun plain =
        CommandRun.of(
            "segment",
            image,
            "--model",
            model,
            "--no-mirroring",
            "--output",
            folder.resolve("plain.nii"));
    assertThat(plain.exitCode()).as(plain.errorText()).isZero();
    Path stages = segmented("stages", "--output", folder.resolve("staged.nii"));
    assertThat(Files.readAllBytes(folder.resolve("staged.nii")))
        .isEqualTo(Files.readAllBytes(folder.resolve("plain.nii")));
    byte[] labels =
        LabelVolume.of(Nifti.open(stages.resolve("09-labels_label.nii.gz")).volumes().getFirst())
            .labels();
    assertThat(labels)
        .isEqualTo(
            LabelVolume.of(Nifti.open(folder.resolve("plain.nii")).volumes().getFirst()).labels());
    assertThat(names(stages))
        .contains(
            "01-read.json",
            "01-read_0000.nii.gz",
            "01-read_0001.nii.gz",
            "02-crop_label.nii.gz",
            "06-padded_0001.nii.gz",
            "08-argmax_label.nii.gz",
            "stages.json")
        .noneMatch(name -> name.startsWith("07"));
  }

  @Test
  void twoRunsOfTheSameAreEqualToTheByte() throws IOException {
    Path a = segmented("a", "--save-probabilities", "--threads", 1);
    Path b = segmented("b", "--save-probabilities", "--threads", 3);
    assertThat(names(b)).isEqualTo(names(a)).contains("07-probabilities_0002.nii.gz");
    for (String name : names(a)) {
      assertThat(Files.readAllBytes(b.resolve(name)))
          .as(name)
          .isEqualTo(Files.readAllBytes(a.resolve(name)));
    }
    CommandRun run = CommandRun.of("compare", a, b);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).contains("the runs are equal in every stage that both have (9)");
  }

  @Test
  void otherWindowsPartWhereWindowsAreLaid() {
    Path a = segmented("a");
    Path b = segmented("b", "--step", 0.25, "--save-probabilities");
    CommandRun run = CommandRun.of("compare", a, b);
    assertThat(run.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .contains(
            "the runs part at 06-padded",
            "  step: 0.5 | 0.25",
            "only the second run has: 07-probabilities");
  }

  @Test
  void otherStatisticsPartAtTheNormalization() throws IOException {
    Path a = preprocessed("a", plan);
    Path b = preprocessed("b", changed("\"sd\": [0-9.]+", "\"sd\": 17.0"));
    CommandRun run = CommandRun.of("compare", a, b);
    assertThat(run.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(run.out())
        .contains("the runs part at 05-normalized")
        .anyMatch(line -> line.matches(" {2}channels\\[0]\\.divisor: [0-9.]+ \\| 17\\.0"))
        .anyMatch(line -> line.matches(" {2}0000: \\d+ of 120 voxels differ by more than 0"))
        .anyMatch(line ->
            line.matches(
                " {4}first {3}at voxel \\(z, y, x\\) = \\(0, 0, 0\\), "
                    + "\\(R, A, S\\) = \\(0\\.00, 0\\.00, 0\\.00\\) mm: \\S+ \\| \\S+"));
    assertThat(CommandRun.of("compare", a, b, "--tolerance", 1000).exitCode()).isZero();
  }

  @Test
  void anotherSpacingPartsAtTheResampling() throws IOException {
    Path a = preprocessed("a", plan);
    Path b = preprocessed("b", changed("\"width\": 1.0", "\"width\": 0.5"));
    CommandRun run = CommandRun.of("compare", a, b, "--json");
    assertThat(run.exitCode()).isEqualTo(ExitCode.FAILED);
    JsonObject report = JsonParser.parseString(run.text()).getAsJsonObject();
    assertThat(report.get("equal").getAsBoolean()).isFalse();
    assertThat(report.get("firstDifference").getAsString()).isEqualTo("04-resampled");
    JsonObject stage = report.getAsJsonArray("stages").get(3).getAsJsonObject();
    assertThat(stage.getAsJsonArray("parameters").toString())
        .contains(
            "\"name\":\"spacingAfter\",\"first\":\"[2.0,1.0,1.0]\",\"second\":\"[2.0,1.0,0.5]\"");
    JsonObject volume = stage.getAsJsonArray("volumes").get(0).getAsJsonObject();
    assertThat(volume.get("grid").getAsString()).isEqualTo("shapes differ: 4x6x5 | 4x6x10");
  }

  @Test
  void aMovedImagePartsByItsAffine() throws IOException {
    Path a = preprocessed("a", plan);
    Path b = preprocessed("b", plan);
    Path file = b.resolve("02-crop_0000.nii.gz");
    Volume volume = Nifti.open(file).volumes().getFirst();
    Path other = segmented("other"); // of another grid
    NiftiHeader header = Nifti.readHeader(file);
    assertThat(CommandRun.of("compare", a, other).exitCode()).isEqualTo(ExitCode.FAILED);
    var moved =
        new Geometry(
            volume.geometry().extents(),
            volume.geometry().affine().after(Affine.ofRows(1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0)));
    assertThat(header.affine()).isNotEqualTo(moved.affine());
    Nifti.writeVolume(file, new Volume(moved, volume.voxels()), NiftiHeader.of(moved));
    CommandRun run = CommandRun.of("compare", a, b);
    assertThat(run.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(run.out())
        .contains("the runs part at 02-crop")
        .anyMatch(line -> line.startsWith("  0000: affines differ: [[1.0"));
  }

  @Test
  void aPublishedPreprocessedCaseIsCompared() throws IOException {
    Path a = preprocessed("a", plan);
    float[] channel =
        Nifti.open(a.resolve("05-normalized_0000.nii.gz")).volumes().getFirst().voxels();
    float[] labels =
        Nifti.open(a.resolve("05-normalized_label.nii.gz")).volumes().getFirst().voxels();
    float[] both = Arrays.copyOf(channel, 2 * channel.length);
    System.arraycopy(labels, 0, both, channel.length, labels.length);
    Path published = published(both);
    CommandRun equal = CommandRun.of("compare", published, a);
    assertThat(equal.exitCode()).as(equal.errorText()).isZero();
    assertThat(equal.out())
        .contains(
            "the runs are equal in every stage that both have (1)",
            "only the second run has: 01-read, 02-crop, 03-transposed, 04-resampled, 06-locations");
    both[7] += 0.5f;
    both[9] += 0.25f;
    CommandRun different = CommandRun.of("compare", a, published(both));
    assertThat(different.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(different.out())
        .contains("  0000: 2 of 120 voxels differ by more than 0")
        .anyMatch(line ->
            line.startsWith(
                "    largest at voxel (z, y, x) = (0, 1, 2), (R, A, S) = (2.00, 1.00, 0.00)"));
  }

  /** A folder with an array of (2, 4, 6, 5) as NumPy packs it. */
  private Path published(float[] values) throws IOException {
    Path stages = Files.createDirectories(folder.resolve("published"));
    Path plain = folder.resolve("data.npy");
    NumpyFile.write(plain, new NumpyFile.Array(List.of(2, 4, 6, 5), values));
    Path archive = stages.resolve("05-normalized.npz");
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(archive))) {
      out.putNextEntry(new ZipEntry("data.npy"));
      Files.copy(plain, out);
    }
    return stages;
  }

  @Test
  void badFoldersAreALineEach() throws IOException {
    Path a = preprocessed("a", plan);
    Path b = preprocessed("b", plan);
    Path none = folder.resolve("none");
    assertFails(CommandRun.of("compare", a, none), ExitCode.BAD_INPUT, none + ": no such file");
    assertFails(CommandRun.of("compare", image, a), ExitCode.FAILED, image + ": not a folder");
    assertFails(
        CommandRun.of("compare", data.folder(), a),
        ExitCode.BAD_INPUT,
        data.folder() + ": holds no stages.json and no array such as 05-normalized.npz");
    Path lost = b.resolve("03-transposed_label.nii.gz");
    Files.delete(lost);
    assertFails(CommandRun.of("compare", a, b), ExitCode.BAD_INPUT, lost + ": no such file");
    Path parameters = b.resolve("02-crop.json");
    Files.writeString(parameters, "[]");
    assertFails(
        CommandRun.of("compare", a, b), ExitCode.BAD_INPUT, parameters + ": is no JSON object");
    Path index = b.resolve("stages.json");
    for (String text :
        List.of(
            "{",
            "{\"format\": \"unetrpp stages 9\"}",
            "{\"format\": \"unetrpp stages 1\"}",
            "{\"format\": \"unetrpp stages 1\", \"stages\": [{}]}",
            "{\"format\": \"unetrpp stages 1\", \"stages\": [{\"parameters\": \"../x.json\"}]}")) {
      Files.writeString(index, text);
      assertFails(CommandRun.of("compare", a, b), ExitCode.BAD_INPUT, index + ": ");
    }
    assertFails(
        CommandRun.of("preprocess", "c", "--plan", plan, "--dump-stages", none),
        ExitCode.BAD_INPUT,
        "has no case 'c'; it has [a, b]");
    assertFails(
        CommandRun.of("preprocess", "a", "--plan", plan, "--dump-stages", a),
        ExitCode.FAILED,
        a + ": is not empty; stages need a folder of their own");
    assertFails(segment(a), ExitCode.FAILED, a + ": is not empty");
    assertThat(CommandRun.of("compare", a, a, "--tolerance", -1).exitCode())
        .isEqualTo(ExitCode.USAGE);
    assertThat(segment(none, "--max-memory", "9g").exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(none).doesNotExist();
  }

  @Test
  void severalCasesHaveAFolderEach() throws IOException {
    Path stages = folder.resolve("stages");
    CommandRun run = CommandRun.of("preprocess", "a", "b", "--plan", plan, "--dump-stages", stages);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(names(stages)).containsExactly("a", "b");
    assertThat(CommandRun.of("compare", stages.resolve("a"), stages.resolve("b")).exitCode())
        .isEqualTo(ExitCode.FAILED);
    Path second = image.resolveSibling("y_0000.nii.gz");
    Files.copy(image, second);
    Files.copy(image, image.resolveSibling("y_0001.nii.gz"));
    Path both = segmented("both", second, "--output", Files.createDirectory(folder.resolve("out")));
    assertThat(names(both)).containsExactly("x", "y");
  }

  private static void assertFails(CommandRun run, int exitCode, String problem) {
    assertThat(run.exitCode()).as(run.errorText()).isEqualTo(exitCode);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).singleElement().asString().startsWith("error: ").contains(problem);
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
