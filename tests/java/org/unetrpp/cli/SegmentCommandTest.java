package org.unetrpp.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.image.Nifti;
import org.unetrpp.image.NiftiHeader;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;
import org.unetrpp.testing.TestResources;

class SegmentCommandTest {
  @TempDir static Path models;
  private static Path one;
  private static Path two;
  private static Path atOwnSpacing;

  @TempDir Path folder;

  @BeforeAll
  static void writeModels() throws IOException {
    one = SmallModel.write(models.resolve("one.safetensors"), 1);
    two = SmallModel.write(models.resolve("two.safetensors"), 2);
    atOwnSpacing = SmallModel.writeAtOwnSpacing(models.resolve("own.safetensors"));
  }

  @Test
  void labelsAreWrittenBesideTheImage() throws IOException {
    Path image = image("ct.nii.gz");
    CommandRun run = segment(one, image);
    Path target = folder.resolve("ct_seg.nii.gz");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).containsExactly(target.toString());
    assertThat(run.err()).hasSize(4);
    assertThat(run.err().getFirst()).matches("ct: \\d+\\.\\d s");
    assertThat(names(folder)).containsExactly("ct.nii.gz", "ct_seg.nii.gz", "ct_seg.png");
    NiftiHeader source = Nifti.readHeader(image);
    NiftiHeader labels = Nifti.readHeader(target);
    assertThat(labels.affine()).isEqualTo(source.affine());
    assertThat(labels.shape()).isEqualTo(source.shape());
    assertThat(labels.voxelType()).isEqualTo(VoxelType.UINT8);
  }

  @Test
  void outputMayBeAFileInAFolderToBeMade() throws IOException {
    Path target = folder.resolve("new").resolve("labels.nii");
    CommandRun run = segment(one, image("ct.nii.gz"), "--output", target);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).containsExactly(target.toString());
    assertThat(Nifti.open(target).volumes()).hasSize(1);
  }

  @Test
  void outputMayBeAFolder() throws IOException {
    Path results = folder.resolve("results");
    CommandRun run = segment(one, image("ct.nii.gz"), "--output", results);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(names(results)).containsExactly("ct_seg.nii.gz", "ct_seg.png");
  }

  @Test
  void probabilitiesAreSavedOnRequest() throws IOException {
    CommandRun run = segment(one, image("ct.nii.gz"), "--save-probabilities");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    List<Volume> classes = Nifti.open(folder.resolve("ct_prob.nii.gz")).volumes();
    assertThat(classes).hasSize(3);
    for (int voxel = 0; voxel < classes.getFirst().voxels().length; voxel++) {
      int index = voxel;
      assertThat(classes.stream().mapToDouble(c -> c.voxels()[index]).sum())
          .isBetween(1 - 1e-5, 1 + 1e-5);
    }
  }

  @Test
  void severalModelsAndARuleMayBeGiven() throws IOException {
    Path other = SmallModel.writeOther(folder.resolve("other.safetensors"));
    Path rule = folder.resolve("postprocessing.json");
    Files.writeString(rule, "{\"for_which_classes\": [[2, 7]]}");
    Path image = image("ct.nii.gz");
    CommandRun run = segment(one, image, "--model", other, "--postprocessing", rule);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    CommandRun ofAnotherKind = segment(one, image, "--model", two);
    assertThat(ofAnotherKind.exitCode()).isEqualTo(1);
    assertThat(ofAnotherKind.errorText()).contains("model 2 has another network or preprocessing");
    Files.writeString(rule, "[]");
    assertThat(segment(one, image, "--postprocessing", rule).exitCode()).isEqualTo(3);
  }

  @Test
  void folderIsSegmentedCaseByCaseAndNotItsResults() throws IOException {
    image("a.nii.gz");
    image("b.nii");
    image(".hidden.nii.gz");
    Files.writeString(folder.resolve("notes.txt"), "no image");
    CommandRun run = segment(one, folder);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).hasSize(2);
    assertThat(run.err().getFirst()).startsWith("[1/2] a: ");
    CommandRun again = segment(one, folder, "--save-probabilities");
    assertThat(again.out()).hasSize(2);
    assertThat(segment(one, folder).out()).hasSize(2);
  }

  @Test
  void aBrokenCaseDoesNotKeepTheOthersFromBeingSegmented() throws IOException {
    image("a.nii.gz");
    image("c.nii.gz");
    Path broken = folder.resolve("b.nii.gz");
    Files.write(broken, Arrays.copyOf(Files.readAllBytes(folder.resolve("a.nii.gz")), 2000));
    CommandRun run = segment(one, folder);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.out()).hasSize(2);
    assertThat(run.err())
        .hasSize(2 * 4 + 2)
        .anyMatch(line -> line.startsWith("error: [2/3] " + broken + ": "))
        .endsWith("error: 1 of 3 cases failed");
    assertThat(names(folder))
        .containsExactly(
            "a.nii.gz",
            "a_seg.nii.gz",
            "a_seg.png",
            "b.nii.gz",
            "c.nii.gz",
            "c_seg.nii.gz",
            "c_seg.png");
  }

  @Test
  void numberedFilesAreTheChannelsOfACase() throws IOException {
    image("x_0000.nii.gz");
    Path second = image("x_0001.nii.gz");
    CommandRun run = segment(two, folder);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).containsExactly(folder.resolve("x_seg.nii.gz").toString());
    assertThat(segment(two, second).exitCode()).isZero(); // any channel names the case
    assertThat(names(folder))
        .containsExactly("x_0000.nii.gz", "x_0001.nii.gz", "x_seg.nii.gz", "x_seg.png");
  }

  @Test
  void missingChannelFailsItsCaseOnly() throws IOException {
    image("x_0000.nii.gz");
    image("y_0000.nii.gz");
    image("y_0001.nii.gz");
    CommandRun run = segment(two, folder);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.errorText())
        .contains(folder.resolve("x_0001.nii.gz") + ": no such file; the model needs 2: CT, T1w");
    assertThat(run.out()).containsExactly(folder.resolve("y_seg.nii.gz").toString());
  }

  @Test
  void moreChannelsThanTheModelTakesAreRefused() throws IOException {
    image("x_0000.nii.gz");
    Path second = image("x_0001.nii.gz");
    assertFails(
        segment(one, folder),
        ExitCode.BAD_INPUT,
        second + ": one more channel than the model takes");
    assertThat(segment(one, folder.resolve("x_0000.nii.gz")).exitCode()).isZero();
  }

  @Test
  void fourDigitsInANameNeedNotBeAChannel() throws IOException {
    CommandRun run = segment(one, image("scan_2019.nii.gz"));
    assertThat(run.out()).containsExactly(folder.resolve("scan_2019_seg.nii.gz").toString());
  }

  @Test
  void channelsMayBeTheVolumesOfOneFile() throws IOException {
    Path image = folder.resolve("x.nii.gz");
    List<Volume> channels =
        List.of(SmallModel.image("first", 16, 34, 34), SmallModel.image("second", 16, 34, 34));
    NiftiHeader header = NiftiHeader.of(channels.getFirst().geometry());
    Nifti.writeVolumes(image, channels, header, VoxelType.FLOAT32);
    assertThat(segment(two, image).exitCode()).isZero();
    assertThat(Nifti.readHeader(folder.resolve("x_seg.nii.gz")).shape())
        .containsExactly(34, 34, 16);
    assertFails(
        segment(one, image), ExitCode.BAD_INPUT, image + ": 2 channels, but the model needs 1: CT");
  }

  @ParameterizedTest
  @CsvSource({
    "dipy/aniso_vox.nii.gz, oblique",
    "nibabel/anatomical.nii, big endian",
    "orientations/IPL.nii.gz, axes in another order",
    "nifti-reader-js/air.hdr.gz, a pair",
    "ibsi/phantom.nii.gz, smaller than the patch"
  })
  void oddFilesAreSegmentedOnTheirGrid(String name, String property) throws IOException {
    Path image = TestResources.path("nifti/" + name);
    Path target = folder.resolve("labels.nii.gz");
    CommandRun run = segment(atOwnSpacing, image, "--output", target, "--step", 1);
    assertThat(run.exitCode()).as(property + ": " + run.errorText()).isZero();
    NiftiHeader labels = Nifti.readHeader(target);
    assertThat(labels.affine()).isEqualTo(Nifti.readHeader(image).affine());
    assertThat(labels.shape()).isEqualTo(Nifti.readHeader(image).shape());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nifti-reader-js/not-nifti.nii",
        "nifti-jl/empty.nii.gz",
        "nibabel/test.mgz",
        "nibabel/nifti1.hdr",
        "dipy/small_64D.nii",
        "niivue/complex_image.nii.gz"
      })
  void whatIsNoImageForTheModelIsNamed(String name) throws IOException {
    Path image = TestResources.path("nifti/" + name);
    CommandRun run = segment(one, image, "--output", folder.resolve("labels.nii.gz"));
    assertFails(run, ExitCode.BAD_INPUT, image.getFileName().toString().substring(0, 4));
    assertThat(names(folder)).isEmpty();
  }

  @Test
  void imageWithNaNIsRefused() throws IOException {
    Volume volume = SmallModel.image("image", 16, 34, 34);
    volume.voxels()[1] = Float.NaN;
    Path image = folder.resolve("nan.nii");
    Nifti.writeVolume(image, volume, NiftiHeader.of(volume.geometry()));
    assertFails(
        segment(one, image),
        ExitCode.BAD_INPUT,
        image + ": channel 0 is NaN at voxel (0, 0, 1), expected a finite number");
    assertThat(names(folder)).containsExactly("nan.nii");
  }

  @Test
  void missingFilesAreNamed() throws IOException {
    Path missing = folder.resolve("none.nii.gz");
    assertFails(segment(one, missing), ExitCode.BAD_INPUT, missing + ": no such file");
    assertFails(
        segment(missing, image("a.nii")),
        ExitCode.BAD_INPUT,
        missing + ": no such file or built-in model");
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertFails(segment(one, empty), ExitCode.BAD_INPUT, empty + ": holds no NIfTI image");
  }

  @Test
  void outputThatCannotBeWrittenIsFoundBeforeTheWork() throws IOException {
    Path image = image("a.nii");
    Path file = Files.writeString(folder.resolve("file"), "text");
    assertFails(
        segment(one, image, "--output", file), ExitCode.FAILED, file + ": exists and is no folder");
    assertFails(
        segment(one, image, "--output", file.resolve("x.nii.gz")), ExitCode.FAILED, "file: ");
    assertFails(
        segment(one, image, "--output", image),
        ExitCode.FAILED,
        image + ": the output would replace the image");
    assertThat(file).hasContent("text");
    assertThat(names(folder)).containsExactly("a.nii", "file");
  }

  @Test
  void resultsDoNotReplaceEachOther() throws IOException {
    Path first = Files.createDirectory(folder.resolve("1"));
    Path second = Files.createDirectory(folder.resolve("2"));
    image("1/ct.nii");
    image("2/ct.nii");
    Path results = folder.resolve("results");
    assertFails(
        segment(one, first, second, "--output", results),
        ExitCode.FAILED,
        "would both be written to " + results.resolve("ct_seg.nii.gz"));
    assertFails(
        segment(one, first, second, "--output", folder.resolve("x.nii.gz")),
        ExitCode.FAILED,
        "x.nii.gz: a file, expected a folder for 2 cases");
    image("1/ct.nii.gz");
    assertFails(
        segment(one, first), ExitCode.BAD_INPUT, "ct.nii.gz: names the same case as ct.nii");
  }

  @Test
  void memoryBeyondTheLimitIsRefused() throws IOException {
    Path image = image("a.nii");
    assertFails(
        segment(one, image, "--max-memory", "100k"),
        ExitCode.FAILED,
        image + ": needs about ",
        " of memory, more than --max-memory allows (100.0 KiB)");
    assertThat(segment(one, image, "--max-memory", "1g").exitCode()).isZero();
  }

  @Test
  void deviceThatIsNotThereIsToldWithItsOwnExitCode() throws IOException {
    Path image = image("a.nii");
    assertFails(segment(one, image, "--device", "cuda:7"), ExitCode.DEVICE, "cuda:7: ");
    assertFails(
        segment(one, image, "--precision", "bf16", "--device", "cpu"),
        ExitCode.DEVICE,
        "cpu: computes in fp32 only");
  }

  @ParameterizedTest
  @CsvSource({
    "--step, 0, '--step is 0.0, expected above 0 and at most 1'",
    "--step, 1.5, '--step is 1.5, expected above 0 and at most 1'",
    "--step, NaN, '--step is NaN, expected above 0 and at most 1'",
    "--threads, 0, '--threads is 0, expected 1 or more'",
    "--threads, many, --threads",
    "--device, gpu, 'device ''gpu'' is unknown, expected auto, cpu, cuda or cuda:N'",
    "--precision, fp64, --precision",
    "--log, xml, --log",
    "--max-memory, much, 'memory size ''much'', expected a number and k, m, g or t, such as 4g'",
    "--max-memory, 0, 'memory size ''0'' is out of range'",
    "--colour, red, Unknown option"
  })
  void wrongOptionsAreErrorsOfUsage(String option, String value, String problem) {
    CommandRun run = segment(one, "image.nii", option, value);
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).hasSize(2);
    assertThat(run.err().getFirst()).startsWith("error: ").contains(problem);
    assertThat(run.err().getLast()).isEqualTo("see: unetrpp segment --help");
  }

  @Test
  void inputIsNeeded() {
    CommandRun run = CommandRun.of("segment");
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err().getFirst()).contains("INPUT");
    assertThat(CommandRun.of("segmnt").exitCode()).isEqualTo(ExitCode.USAGE);
  }

  @Test
  void whatIsNoModelIsToldHelpfully() throws IOException {
    Path image = image("a.nii");
    Path checkpoint = TestResources.path("made-checkpoints/training.model");
    assertFails(
        segment(checkpoint, image),
        ExitCode.BAD_INPUT,
        "not a model file; 'unetrpp convert' makes one of a checkpoint");
    assertFails(segment(image, image), ExitCode.BAD_INPUT, "not a model file or checkpoint");
    assertFails(segment(folder, image), ExitCode.BAD_INPUT, "a folder, expected a file");
    byte[] bytes = Files.readAllBytes(one);
    Path cut = Files.write(folder.resolve("cut"), Arrays.copyOf(bytes, bytes.length - 4));
    assertFails(segment(cut, image), ExitCode.BAD_INPUT, cut + ": ", "bytes of values");
    bytes[7] = 0x7f;
    Path lying = Files.write(folder.resolve("lying"), bytes);
    assertFails(segment(lying, image), ExitCode.BAD_INPUT, lying + ": ");
  }

  @Test
  void jsonMessagesAreOneObjectALine() throws IOException {
    image("a.nii");
    Files.writeString(folder.resolve("b.nii"), "no image");
    CommandRun run = segment(one, folder, "--log", "json");
    List<JsonObject> messages =
        run.err().stream().map(line -> JsonParser.parseString(line).getAsJsonObject()).toList();
    assertThat(messages).extracting(m -> m.get("level").getAsString()).contains("info", "error");
    assertThat(messages).allMatch(m -> m.has("message") || m.has("stage"));
  }

  @Test
  void stagesAreTimedOnRequest() throws IOException {
    Path image = image("a.nii");
    String stages =
        String.join(
            ", ",
            Stream.of("read", "preprocess", "network", "aggregate", "finish", "write")
                .map(stage -> stage + " \\d+\\.\\d s \\(\\d+ %\\)")
                .toList());
    assertThat(segment(one, image, "-v").err().getLast()).matches("  " + stages);
    assertThat(segment(one, image).err()).noneMatch(line -> line.contains("aggregate"));
    JsonObject message =
        JsonParser.parseString(segment(one, image, "--log", "json").err().getLast())
            .getAsJsonObject();
    JsonObject times = message.getAsJsonObject("stages");
    double sum = times.keySet().stream().mapToDouble(key -> times.get(key).getAsDouble()).sum();
    assertThat(times.keySet()).hasSize(6);
    assertThat(sum).isPositive().isLessThanOrEqualTo(message.get("seconds").getAsDouble());
  }

  @Test
  void estimateTellsOfEachCaseAndWritesNothing() throws IOException {
    image("a.nii");
    image("b.nii");
    CommandRun run = segment(one, folder, "--estimate");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).hasSize(2);
    assertThat(run.out().getLast())
        .matches("b: about \\d+ s, \\d+\\.\\d [MG]iB of memory at its peak");
    assertThat(run.err().getLast()).startsWith("[2/2] b: read ");
    assertThat(names(folder)).containsExactly("a.nii", "b.nii");
    CommandRun json = segment(one, folder.resolve("a.nii"), "--estimate", "--log", "json");
    JsonObject message = JsonParser.parseString(json.err().getLast()).getAsJsonObject();
    assertThat(message.get("seconds").getAsDouble()).isPositive();
    assertThat(message.get("peakBytes").getAsLong()).isGreaterThan(1 << 20);
  }

  @Test
  void savedProbabilitiesCountAgainstTheLimit() throws IOException {
    Path image = image("a.nii");
    assertFails(
        segment(one, image, "--save-probabilities", "--max-memory", "10m"),
        ExitCode.FAILED,
        "of memory, also for --save-probabilities, more than --max-memory allows (10.0 MiB)");
  }

  @Test
  void verboseShowsTheCause() throws IOException {
    Path image = Files.writeString(folder.resolve("b.nii"), "no image");
    CommandRun run = segment(one, image, "-v");
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err().getFirst()).startsWith("error: " + image);
    assertThat(run.errorText()).contains("InvalidFileException", "\tat org.unetrpp.image.");
    assertThat(segment(one, image).err()).hasSize(1);
  }

  @Test
  void previewIsAPictureAndMayBeLeftOut() throws IOException {
    Path target = folder.resolve("new").resolve("labels.nii");
    assertThat(segment(one, image("ct.nii.gz"), "--output", target).exitCode()).isZero();
    BufferedImage picture = ImageIO.read(folder.resolve("new").resolve("labels.png").toFile());
    assertThat(picture.getWidth()).isGreaterThan(3 * 144);
    CommandRun without = segment(one, image("ct.nii.gz"), "--no-preview");
    assertThat(without.exitCode()).as(without.errorText()).isZero();
    CommandRun with = segment(one, image("b.nii.gz"), "--preview");
    assertThat(with.exitCode()).as(with.errorText()).isZero();
    assertThat(names(folder))
        .containsExactly(
            "b.nii.gz", "b_seg.nii.gz", "b_seg.png", "ct.nii.gz", "ct_seg.nii.gz", "new");
  }

  @Test
  void volumesOfEachLabelAreToldAndWritten() throws IOException {
    image("a.nii");
    image("b,b.nii");
    Path table = folder.resolve("volumes.csv");
    CommandRun run = segment(one, folder, "--volumes", table);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    List<String> expected = new ArrayList<>();
    expected.add("case,segmentation,label,name,voxels,ml");
    for (String name : List.of("a", "b,b")) {
      Path labels = folder.resolve(name + "_seg.nii.gz");
      for (int value : new int[] {2, 7}) {
        long voxels = count(labels, value);
        expected.add(
            "%s,%s,%d,%s,%d,%s"
                .formatted(
                    name.equals("a") ? name : '"' + name + '"',
                    name.equals("a") ? labels.toString() : "\"" + labels + '"',
                    value,
                    value == 2 ? "liver" : "spleen",
                    voxels,
                    // 1.5 x 1 x 1 mm
                    BigDecimal.valueOf(voxels * 15, 4).setScale(6)));
      }
    }
    assertThat(table).hasContent(String.join("\n", expected) + "\n");
    long liver = count(folder.resolve("a_seg.nii.gz"), 2);
    assertThat(run.err())
        .contains("  label        voxels           ml")
        .contains(String.format(Locale.ROOT, "  liver  %,12d %12.3f", liver, liver * 0.0015));
  }

  @Test
  void volumesAreFieldsForPrograms() throws IOException {
    image("a.nii");
    CommandRun run = segment(one, folder, "--log", "json");
    JsonObject message = JsonParser.parseString(run.err().getLast()).getAsJsonObject();
    assertThat(message.get("case").getAsString()).isEqualTo("a");
    Path labels = folder.resolve("a_seg.nii.gz");
    assertThat(message.get("segmentation").getAsString()).isEqualTo(labels.toString());
    JsonObject liver = message.getAsJsonArray("labels").get(0).getAsJsonObject();
    assertThat(liver.get("name").getAsString()).isEqualTo("liver");
    assertThat(liver.get("voxels").getAsLong()).isEqualTo(count(labels, 2)).isPositive();
    assertThat(liver.get("ml").getAsDouble()).isCloseTo(count(labels, 2) * 0.0015, within(1e-9));
  }

  @Test
  void volumesThatCannotBeWrittenAreFoundBeforeTheWork() throws IOException {
    Path image = image("a.nii");
    Path nowhere = folder.resolve("none").resolve("v.csv");
    assertFails(
        segment(one, image, "--volumes", nowhere),
        ExitCode.FAILED,
        nowhere + ": cannot be written: the folder does not exist");
    assertFails(
        segment(one, image, "--volumes", image),
        ExitCode.FAILED,
        image + ": would replace an image or a result of a");
    assertThat(names(folder)).containsExactly("a.nii");
  }

  private static long count(Path labels, int value) throws IOException {
    float[] voxels = Nifti.open(labels).volumes().getFirst().voxels();
    return IntStream.range(0, voxels.length).filter(i -> voxels[i] == value).count();
  }

  private Path image(String name) throws IOException {
    Volume volume = SmallModel.image(name, 16, 34, 34);
    Path path = folder.resolve(name);
    Nifti.writeVolume(path, volume, NiftiHeader.of(volume.geometry()));
    return path;
  }

  /** Quick, and with more arguments after the model. */
  private static CommandRun segment(Path model, Object... arguments) {
    List<Object> all =
        Stream.concat(
                Stream.of("segment", "--model", model, "--no-mirroring"), Arrays.stream(arguments))
            .toList();
    return CommandRun.of(all.toArray());
  }

  private static void assertFails(CommandRun run, int exitCode, String... problems) {
    assertThat(run.exitCode()).as(run.errorText()).isEqualTo(exitCode);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).singleElement().asString().startsWith("error: ").contains(problems);
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
