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
import org.unetrpp.image.Spacing;
import org.unetrpp.image.Volume;
import org.unetrpp.image.VoxelType;
import org.unetrpp.testing.CommandRun;
import org.unetrpp.testing.SmallModel;

class EvaluateCommandTest {
  private static final Spacing SPACING = new Spacing(10, 5, 4); // 0.2 ml a voxel

  @TempDir Path folder;
  private Path predictions;
  private Path references;

  @BeforeEach
  void makeFolders() throws IOException {
    predictions = Files.createDirectory(folder.resolve("predictions"));
    references = Files.createDirectory(folder.resolve("labels"));
  }

  @Test
  void tableShowsCasesAndMeans() throws IOException {
    twoCases();
    CommandRun run = evaluate("--classes", "1=liver,2=spleen");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .containsExactly(
            "case  structure    Dice  HD95 (mm)  surface Dice (1 mm)  volume error (ml)",
            "a     liver      0.6667       7.00               0.7500              +0.40",
            "a     spleen          -          -                    -              +0.00",
            "b     liver      1.0000       0.00               1.0000              +0.00",
            "b     spleen     0.8000       3.20               0.8333              -0.20",
            "",
            "Mean of 2 cases",
            "structure        Dice  HD95 (mm)  surface Dice (1 mm)  volume error (ml)",
            "liver          0.8333       3.50               0.8750              +0.20",
            "spleen     0.8000 (1)   3.20 (1)           0.8333 (1)              -0.10",
            "mean           0.8167       3.35               0.8542              +0.05");
  }

  @Test
  void labelsFoundAreTheClassesUnlessNamed() throws IOException {
    twoCases();
    Path json = folder.resolve("report.json");
    CommandRun run = evaluate("--json", json, "--voxels");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    JsonObject report = JsonParser.parseString(Files.readString(json)).getAsJsonObject();
    assertThat(report.get("structures").toString())
        .isEqualTo("[{\"name\":\"1\",\"labels\":[1]},{\"name\":\"2\",\"labels\":[2]}]");
    JsonObject absent = structure(report, 0, "2"); // label 2 is in case b only
    assertThat(absent.get("dice").getAsDouble()).isEqualTo(1);
    assertThat(absent.get("hd95").getAsDouble()).isZero();
    assertThat(absent.get("hd").isJsonNull()).isTrue();
    assertThat(absent.get("total_negatives_test").getAsDouble()).isEqualTo(8);
    JsonObject means = report.getAsJsonObject("means").getAsJsonObject("2");
    assertThat(means.get("dice").toString()).isEqualTo("{\"mean\":0.9,\"count\":2}");
  }

  @Test
  void jsonHoldsCasesMeansAndConventions() throws IOException {
    twoCases();
    Path json = folder.resolve("new").resolve("report.json");
    CommandRun run =
        evaluate("--json", json, "--classes", "1=liver,2=spleen", "--tolerance", "4.5");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    JsonObject report = JsonParser.parseString(Files.readString(json)).getAsJsonObject();
    JsonObject conventions = report.getAsJsonObject("conventions");
    assertThat(conventions.get("distance_unit").getAsString()).isEqualTo("mm");
    assertThat(conventions.get("tolerance").getAsDouble()).isEqualTo(4.5);
    JsonObject first = report.getAsJsonArray("cases").get(0).getAsJsonObject();
    assertThat(first.get("case").getAsString()).isEqualTo("a");
    assertThat(first.get("prediction").getAsString())
        .isEqualTo(predictions.resolve("a_seg.nii.gz").toString());
    assertThat(first.get("reference").getAsString())
        .isEqualTo(references.resolve("a.nii.gz").toString());
    JsonObject liver = structure(report, 0, "liver");
    assertThat(liver.get("dice").getAsDouble()).isEqualTo(2.0 / 3);
    assertThat(liver.get("hd").getAsDouble()).isEqualTo(8);
    assertThat(liver.get("surface_dice").getAsDouble()).isEqualTo(1.75 / (2 + 1e-8));
    assertThat(liver.get("false_positive_rate").getAsDouble()).isEqualTo(1 - 4.0 / 6);
    assertThat(structure(report, 0, "spleen").get("dice").isJsonNull()).isTrue();
    JsonObject means = report.getAsJsonObject("means").getAsJsonObject("spleen");
    assertThat(means.get("dice").toString()).isEqualTo("{\"mean\":0.8,\"count\":1}");
    assertThat(report.getAsJsonObject("overall").getAsJsonObject("hd").get("mean").getAsDouble())
        .isEqualTo(4); // of 4 and 4
    assertThat(report.getAsJsonArray("failures")).isEmpty();
  }

  @Test
  void csvHoldsALineForEachCaseAndStructure() throws IOException {
    twoCases();
    Path csv = folder.resolve("report.csv");
    CommandRun run =
        evaluate("--csv", csv, "--classes", "1=liver", "--regions", "all \"of\" it=1+2");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    List<String> lines = Files.readAllLines(csv);
    assertThat(lines).hasSize(5);
    assertThat(lines.getFirst())
        .isEqualTo(
            "case,structure,labels,dice,jaccard,precision,recall,true_negative_rate,accuracy,"
                + "false_positive_rate,false_negative_rate,false_discovery_rate,"
                + "false_omission_rate,negative_predictive_value,total_positives_test,"
                + "total_positives_reference,total_negatives_test,total_negatives_reference,"
                + "test_volume_ml,reference_volume_ml,volume_error_ml,relative_volume_error,"
                + "hd_mm,hd95_mm,asd_mm,assd_mm,surface_dice");
    assertThat(lines.get(1))
        .startsWith("a,liver,1,0.6666666666666666,0.5,0.5,1,0.6666666666666666,0.75,")
        .contains(",4,2,4,6,0.8,0.4,0.4,1,8,7,3,1.5,0.7499999");
    assertThat(lines.get(2)).startsWith("a,\"all \"\"of\"\" it\",1+2,0.6666666666666666,");
    assertThat(lines.get(4)).startsWith("b,\"all \"\"of\"\" it\",1+2,0.888888888888888");
    evaluate("--csv", csv, "--classes", "7=none", "--voxels");
    assertThat(Files.readAllLines(csv))
        .anyMatch(line -> line.contains(",hd_voxels,hd95_voxels,"))
        .anyMatch(line -> line.startsWith("a,none,7,1,NaN,NaN,NaN,1,1,0,"));
  }

  @Test
  void modelNamesTheClasses() throws IOException {
    twoCases();
    Path model = SmallModel.write(folder.resolve("m.safetensors"), 1);
    CommandRun run = evaluate("--model", model, "--regions", "both=1+2");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out())
        .anyMatch(line -> line.matches("b +liver +0\\.8000 .*"))
        .anyMatch(line -> line.matches("b +spleen +- .*"))
        .anyMatch(line -> line.matches("b +both +0\\.8889 .*"));
  }

  @Test
  void manyCasesAreShownOnRequest() throws IOException {
    for (int i = 0; i < 6; i++) {
      row(predictions.resolve("case%d.nii.gz".formatted(i)), "11110000");
      row(references.resolve("case%d.nii.gz".formatted(i)), "11000000");
    }
    assertThat(evaluate().out()).hasSize(4).contains("Mean of 6 cases");
    assertThat(evaluate("--threads", 1).out()).isEqualTo(evaluate("--threads", 3).out());
    assertThat(evaluate("-v").out()).hasSize(12);
  }

  @Test
  void twoFilesAreACaseWhateverTheirNames() throws IOException {
    Path prediction = row(folder.resolve("mine.nii.gz"), "11110000");
    Path reference = row(folder.resolve("theirs.nii"), "11000000");
    CommandRun run = run(prediction, reference);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out().get(1)).startsWith("theirs  1 ");
    assertThat(run.out()).contains("Mean of 1 case");
  }

  @Test
  void oneFileIsComparedWithItsCaseInAFolder() throws IOException {
    twoCases();
    CommandRun one = run(predictions.resolve("a_seg.nii.gz"), references);
    assertThat(one.exitCode()).as(one.errorText()).isZero();
    assertThat(one.out()).contains("Mean of 1 case");
    CommandRun other = run(predictions, references.resolve("b.nii.gz"));
    assertThat(other.exitCode()).as(other.errorText()).isZero();
    assertThat(other.out().get(1)).startsWith("b ");
    Path stranger = row(folder.resolve("c.nii.gz"), "11110000");
    assertFails(run(stranger, references), stranger + ": no file of case 'c' in " + references);
  }

  @Test
  void labelsBesideTheirImageAreFound() throws IOException {
    twoCases();
    row(predictions.resolve("a.nii.gz"), "99999999"); // the image itself
    row(predictions.resolve("a_prob.nii.gz"), "99999999");
    row(predictions.resolve(".b.nii.gz"), "99999999");
    Files.writeString(predictions.resolve("notes.txt"), "no image");
    CommandRun run = evaluate();
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.out()).contains("Mean of 2 cases").noneMatch(line -> line.contains(" 9 "));
  }

  @Test
  void filesWithoutPartnerAreNamedAndTheOthersEvaluated() throws IOException {
    twoCases();
    Path prediction = row(predictions.resolve("x_seg.nii.gz"), "11110000");
    Path reference = row(references.resolve("y.nii.gz"), "11110000");
    Path json = folder.resolve("report.json");
    CommandRun run = evaluate("--json", json);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .containsExactly(
            "error: " + prediction + ": no file of case 'x' in " + references,
            "error: " + reference + ": no file of case 'y' in " + predictions,
            "error: 2 evaluated, 2 failed");
    assertThat(run.out()).contains("Mean of 2 cases");
    JsonObject report = JsonParser.parseString(Files.readString(json)).getAsJsonObject();
    assertThat(report.getAsJsonArray("failures").get(0).getAsString())
        .isEqualTo(prediction + ": no file of case 'x' in " + references);
  }

  @Test
  void badCasesAreNamedAndTheOthersEvaluated() throws IOException {
    twoCases();
    Path smaller = row(predictions.resolve("c.nii.gz"), "1111000");
    Path larger = row(references.resolve("c.nii.gz"), "11110000");
    Path moved = row(predictions.resolve("d.nii.gz"), "11110000", new Spacing(10, 5, 4.5));
    Path unmoved = row(references.resolve("d.nii.gz"), "11110000");
    Path fractions = image(predictions.resolve("e.nii.gz"), 1, 0.5f);
    row(references.resolve("e.nii.gz"), "11110000");
    row(predictions.resolve("f.nii.gz"), "11110000");
    Path broken = row(references.resolve("f.nii.gz"), "11000000");
    Files.write(broken, Arrays.copyOf(Files.readAllBytes(broken), 30));
    CommandRun run = evaluate();
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.out()).contains("Mean of 2 cases");
    assertThat(run.err()).hasSize(5).endsWith("error: 2 evaluated, 4 failed");
    assertThat(run.err().get(0))
        .isEqualTo("error: %s: 1x1x7 voxels, expected 1x1x8 as %s has".formatted(smaller, larger));
    assertThat(run.err().get(1))
        .startsWith("error: " + moved + ": affine ")
        .endsWith(" as " + unmoved + " has");
    assertThat(run.err().get(2))
        .isEqualTo(
            "error: "
                + fractions
                + ": voxel 1 is 0.5, expected a label: a whole number from 0 to 255");
    assertThat(run.err().get(3)).startsWith("error: " + broken + ": ");
  }

  @Test
  void nothingIsWrittenWhereNoCaseCouldBeEvaluated() throws IOException {
    image(predictions.resolve("a.nii.gz"), -1);
    row(references.resolve("a.nii.gz"), "11110000");
    Path csv = folder.resolve("report.csv");
    CommandRun run = evaluate("--csv", csv);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).endsWith("error: 0 evaluated, 1 failed");
    assertThat(csv).doesNotExist();
  }

  @Test
  void severalVolumesInAFileAreRefused() throws IOException {
    Path prediction = predictions.resolve("a.nii.gz");
    Volume volume = new Volume(geometry(8, SPACING), new float[8]);
    Nifti.writeVolumes(
        prediction, List.of(volume, volume), NiftiHeader.of(volume.geometry()), VoxelType.UINT8);
    row(references.resolve("a.nii.gz"), "11110000");
    assertFails(evaluate(), prediction + ": 2 volumes, expected one of labels");
  }

  @Test
  void foldersAndNamesThatCannotBePairedAreNamed() throws IOException {
    assertFails(evaluate(), predictions + ": holds no NIfTI image");
    twoCases();
    Path missing = folder.resolve("none");
    assertFails(run(predictions, missing), missing + ": no such file");
    assertFails(run(missing, missing), missing + ": no such file");
    row(references.resolve("a.nii"), "11110000");
    assertFails(evaluate(), "a.nii.gz: names the same case as a.nii");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "--classes; liver; class 'liver', expected LABEL=NAME, such as 1=liver,2=spleen",
        "--classes; 1=a,2=; the structure of labels [2] has no name",
        "--classes; 256=a; structure a has labels [256], expected some from 0 to 255",
        "--classes; 1=a,2=a; two classes or regions have the name a",
        "--regions; WT=1+x; region 'WT=1+x', expected NAME=LABEL+LABEL, such as WT=1+2+3,ET=3",
        "--tolerance; -1; tolerance is -1.0, expected 0 or more mm",
        "--figures; -1; --figures is -1, expected 0 or more",
        "--threads; 0; --threads is 0, expected 1 or more",
      })
  void optionsThatMeanNothingAreRefused(String option, String value, String message)
      throws IOException {
    twoCases();
    CommandRun run = evaluate(option, value);
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err()).contains("error: " + message);
  }

  @Test
  void reportHoldsTablesPlotsAndFigures() throws IOException {
    twoCases();
    Path images = Files.createDirectory(folder.resolve("images"));
    image(images.resolve("a_0000.nii.gz"), 5, 6, 7);
    Path page = folder.resolve("new/report.html");
    CommandRun run = evaluate("--report", page, "--images", images, "--classes", "1=liver<b>");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(run.err()).containsExactly("warning: 1 of 2 cases have no image");
    String html = Files.readString(page);
    assertThat(html)
        .contains("liver&lt;b&gt;", "<h3>a</h3>", "<dd>" + images + "</dd>", "unetrpp ")
        .doesNotContain("liver<b>", "http", "No figure");
    assertThat(html.split("data:image/png;base64,", -1)).hasSize(3);
    run = evaluate("--report", page, "--figures", 1, "--classes", "1=one,1=same");
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(Files.readString(page).split("data:image/png;base64,", -1)).hasSize(2);
  }

  @Test
  void imageOfAnotherGridIsNamedInTheReport() throws IOException {
    twoCases();
    Path images = Files.createDirectory(folder.resolve("images"));
    Path other = row(images.resolve("a.nii.gz"), "0000");
    Path page = folder.resolve("report.html");
    CommandRun run = evaluate("--report", page, "--images", images);
    assertThat(run.exitCode()).as(run.errorText()).isZero();
    assertThat(Files.readString(page)).contains("No figure: " + other + ": 1x1x4 voxels at ");
  }

  @Test
  void imagesNeedAReportAndHaveToBeThere() throws IOException {
    twoCases();
    CommandRun run = evaluate("--images", folder);
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.errorText()).contains("--images are for figures, expected --report, too");
    Path page = folder.resolve("report.html");
    assertFails(evaluate("--report", page, "--images", folder), folder + ": holds no NIfTI image");
    assertFails(
        evaluate("--report", page, "--images", folder.resolve("none")),
        folder.resolve("none") + ": no such file");
    assertThat(page).doesNotExist();
  }

  @Test
  void classesHaveOneSource() throws IOException {
    twoCases();
    CommandRun run = evaluate("--classes", "1=a", "--model", folder.resolve("m.safetensors"));
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.errorText()).contains("--classes and --model both name the classes");
  }

  @Test
  void targetsThatCannotBeWrittenAreFoundBeforeTheWork() throws IOException {
    twoCases();
    Path file = Files.writeString(folder.resolve("file"), "text");
    CommandRun run = evaluate("--csv", file.resolve("report.csv"));
    assertThat(run.exitCode()).isEqualTo(ExitCode.FAILED);
    assertThat(run.out()).isEmpty();
    assertThat(file).hasContent("text");
  }

  /** Case a: label 1 is 4 voxels and 2 expected; case b: label 2 is 2 voxels and 3 expected. */
  private void twoCases() throws IOException {
    row(predictions.resolve("a_seg.nii.gz"), "11110000");
    row(references.resolve("a.nii.gz"), "11000000");
    row(predictions.resolve("b.nii.gz"), "11000022");
    row(references.resolve("b.nii.gz"), "11000222");
  }

  private CommandRun evaluate(Object... options) {
    return run(predictions, references, options);
  }

  private static CommandRun run(Path predictions, Path references, Object... options) {
    Stream<Object> fixed =
        Stream.of("evaluate", "--predictions", predictions, "--labels", references);
    return CommandRun.of(Stream.concat(fixed, Arrays.stream(options)).toArray());
  }

  private static void assertFails(CommandRun run, String message) {
    assertThat(run.exitCode()).as(run.errorText()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.errorText()).contains(message);
    assertThat(run.out()).isEmpty();
  }

  private static JsonObject structure(JsonObject report, int index, String name) {
    return report
        .getAsJsonArray("cases")
        .get(index)
        .getAsJsonObject()
        .getAsJsonObject("structures")
        .getAsJsonObject(name);
  }

  private static Path row(Path path, String digits) throws IOException {
    return row(path, digits, SPACING);
  }

  /** Writes a single row of voxels whose labels are the digits. */
  private static Path row(Path path, String digits, Spacing spacing) throws IOException {
    byte[] labels = new byte[digits.length()];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = (byte) (digits.charAt(i) - '0');
    }
    LabelVolume volume = new LabelVolume(geometry(labels.length, spacing), labels);
    Nifti.writeLabels(path, volume, NiftiHeader.of(volume.geometry()));
    return path;
  }

  /** Writes a row of 8 voxels that begins with these intensities. */
  private static Path image(Path path, float... first) throws IOException {
    Volume volume = new Volume(geometry(8, SPACING), Arrays.copyOf(first, 8));
    Nifti.writeVolume(path, volume, NiftiHeader.of(volume.geometry()));
    return path;
  }

  private static Geometry geometry(int width, Spacing spacing) {
    return new Geometry(new Extents(1, 1, width), Affine.ofSpacing(spacing));
  }
}
