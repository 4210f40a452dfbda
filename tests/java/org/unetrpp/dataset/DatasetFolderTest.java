package org.unetrpp.dataset;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.unetrpp.testing.SmallDataset.GEOMETRY;
import static org.unetrpp.testing.SmallDataset.labels;
import static org.unetrpp.testing.SmallDataset.noise;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.testing.SmallDataset;

class DatasetFolderTest {
  @TempDir Path folder;
  private SmallDataset made;

  @BeforeEach
  void makeFolders() throws IOException {
    made = SmallDataset.in(folder);
  }

  private static List<String> ids(DatasetFolder dataset) {
    return dataset.cases().stream().map(DatasetCase::id).toList();
  }

  private Path at(String name) {
    return folder.resolve(name);
  }

  private static final String HEAD =
      "{'name': 'N', 'modality': {'0': 'CT'}, 'labels': {'0': 'b', '1': 'x'}";

  @Test
  void listOfTheDecathlonNamesTheCases() throws IOException {
    made.withCases("b", "a", "c")
        .withDescription(
            HEAD
                + ", 'training': [{'image': './imagesTr/b.nii.gz', 'label': './labelsTr/b.nii.gz'},"
                + "{'image': './imagesTr/a.nii.gz', 'label': './labelsTr/a.nii.gz'}]}",
            '\'');
    DatasetFolder dataset = DatasetFolder.open(folder);
    assertThat(dataset.name()).isEqualTo("N");
    assertThat(dataset.channels()).containsExactly("CT");
    assertThat(dataset.labels())
        .containsExactly(new DatasetLabel(0, "b"), new DatasetLabel(1, "x"));
    assertThat(dataset.cases().getFirst())
        .isEqualTo(new DatasetCase("a", List.of(at("imagesTr/a.nii.gz")), at("labelsTr/a.nii.gz")));
    assertThat(ids(dataset)).containsExactly("a", "b");
    assertThat(dataset.problems())
        .hasSize(2)
        .noneMatch(Problem::isError)
        .extracting(Problem::path)
        .containsExactly(at("imagesTr/c.nii.gz"), at("labelsTr/c.nii.gz"));
  }

  @Test
  void listedImageMayStandForItsNumberedChannels() throws IOException {
    made.image("imagesTr/a_0000.nii.gz", GEOMETRY, noise("0"));
    made.withDescription(
        "{'modality': {'0': 'T1', '1': 'T2'}, 'labels': {'1': 'x'}, 'training': ["
            + "{'image': 'imagesTr/a.nii.gz', 'label': 'labelsTr/a.nii.gz'},"
            + "{'image': 'imagesTr/b_0000.nii.gz', 'label': 'labelsTr/b.nii.gz'}]}",
        '\'');
    DatasetFolder dataset = DatasetFolder.open(folder);
    assertThat(ids(dataset)).containsExactly("a", "b");
    assertThat(dataset.cases().getFirst().images())
        .containsExactly(at("imagesTr/a_0000.nii.gz"), at("imagesTr/a_0001.nii.gz"));
    assertThat(dataset.cases().getLast().images())
        .containsExactly(at("imagesTr/b_0000.nii.gz"), at("imagesTr/b_0001.nii.gz"));
    assertThat(dataset.labels().getFirst()).isEqualTo(new DatasetLabel(0, "background"));
  }

  @Test
  void laterFormNamesChannelsAndLabelsAndFindsCases() throws IOException {
    made.image("imagesTr/a_0000.nii.gz", GEOMETRY, noise("0"));
    made.image("imagesTr/a_0001.nii.gz", GEOMETRY, noise("1"));
    made.image("labelsTr/a.nii.gz", GEOMETRY, labels());
    made.withDescription(
        "{'channel_names': {'0': 'CT', '1': 'PET'},"
            + "'labels': {'background': 0, 'spleen': 7, 'liver': 3}, 'file_ending': '.nii.gz'}",
        '\'');
    DatasetFolder dataset = DatasetFolder.open(folder);
    assertThat(dataset.channels()).containsExactly("CT", "PET");
    assertThat(dataset.labels())
        .containsExactly(
            new DatasetLabel(0, "background"),
            new DatasetLabel(3, "liver"),
            new DatasetLabel(7, "spleen"));
    assertThat(dataset.cases().getFirst().images())
        .containsExactly(at("imagesTr/a_0000.nii.gz"), at("imagesTr/a_0001.nii.gz"));
    assertThat(dataset.name()).isEqualTo(folder.getFileName().toString());
  }

  @Test
  void plainFolderHasUnknownModalityAndUndeclaredLabels() throws IOException {
    Files.move(at("imagesTr"), at("images"));
    Files.move(at("labelsTr"), at("labels"));
    made.image("images/a.nii", GEOMETRY, noise("a"));
    made.image("labels/a.nii.gz", GEOMETRY, labels());
    Files.writeString(at("images/.hidden.nii.gz"), "x");
    Files.writeString(at("labels/._a.nii.gz"), "x");
    DatasetFolder dataset = DatasetFolder.open(folder);
    assertThat(dataset.channels()).containsExactly("unknown");
    assertThat(dataset.labels()).isEmpty();
    assertThat(dataset.cases())
        .containsExactly(new DatasetCase("a", List.of(at("images/a.nii")), at("labels/a.nii.gz")));
    assertThat(dataset.problems()).isEmpty();
  }

  @Test
  void plainFolderCountsTheChannelsOfItsImages() throws IOException {
    made.image("imagesTr/a.nii.gz", GEOMETRY, noise("0"), noise("1"), noise("2"));
    made.image("labelsTr/a.nii.gz", GEOMETRY, labels());
    assertThat(DatasetFolder.open(folder).channels()).hasSize(3);
  }

  @Test
  void nameMayEndInFourDigitsWhereItsLabelDoes() throws IOException {
    made.withCases("patient_0000", "patient_0001");
    assertThat(ids(DatasetFolder.open(folder))).containsExactly("patient_0000", "patient_0001");
  }

  @Test
  void whatBelongsToNoCaseIsTold() throws IOException {
    made.withCases("a").withDescription("CT");
    made.image("imagesTr/b_0000.nii.gz", GEOMETRY, noise("b"));
    made.image("imagesTr/c.nii.gz", GEOMETRY, noise("c"));
    Files.writeString(at("imagesTr/notes.txt"), "x");
    Files.writeString(at("labelsTr/notes.txt"), "x");
    assertThat(DatasetFolder.open(folder).problems())
        .extracting(Problem::toString)
        .containsExactlyInAnyOrder(
            at("imagesTr/b_0000.nii.gz")
                + ": its label is missing, expected "
                + at("labelsTr/b.nii.gz"),
            at("imagesTr/c.nii.gz") + ": its label is missing, expected " + at("labelsTr/c.nii.gz"),
            at("imagesTr/notes.txt") + ": belongs to no case: no name of a NIfTI file",
            at("labelsTr/notes.txt") + ": belongs to no case: no name of a NIfTI file");
  }

  @Test
  void twoFilesOfOneCaseAreTold() throws IOException {
    made.withCases("a", "b").withDescription("CT");
    made.image("imagesTr/a.nii", GEOMETRY, noise("a"));
    made.image("imagesTr/b_0000.nii.gz", GEOMETRY, noise("a"));
    made.image("labelsTr/b.nii", GEOMETRY, labels());
    assertThat(DatasetFolder.open(folder).problems())
        .allMatch(Problem::isError)
        .extracting(Problem::toString)
        .containsExactlyInAnyOrder(
            at("imagesTr/a.nii.gz")
                + ": a second image of the same case, beside "
                + at("imagesTr/a.nii"),
            at("imagesTr/b_0000.nii.gz")
                + ": a second image of the same case, beside "
                + at("imagesTr/b.nii.gz"),
            at("labelsTr/b.nii.gz") + ": a second case 'b', beside " + at("labelsTr/b.nii"));
  }

  @Test
  void caseListedTwiceIsTold() throws IOException {
    String entry = "{'image': 'imagesTr/a.nii.gz', 'label': 'labelsTr/a.nii.gz'}";
    made.withCases("a")
        .withDescription(HEAD + ", 'training': [" + entry + "," + entry + "]}", '\'');
    assertThat(DatasetFolder.open(folder).problems())
        .singleElement()
        .matches(Problem::isError)
        .asString()
        .contains("a second case 'a'");
  }

  @Test
  void channelBeyondTheDeclaredBelongsToNoCase() throws IOException {
    made.image("imagesTr/a_0000.nii.gz", GEOMETRY, noise("0"));
    made.image("imagesTr/a_0001.nii.gz", GEOMETRY, noise("1"));
    made.image("labelsTr/a.nii.gz", GEOMETRY, labels());
    made.withDescription("CT");
    assertThat(DatasetFolder.open(folder).problems())
        .singleElement()
        .matches(problem -> !problem.isError())
        .asString()
        .isEqualTo(
            at("imagesTr/a_0001.nii.gz") + ": belongs to no case: the data set has 1 channels");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{                                                        | is no JSON",
        "[]                                                       | the file is no JSON object",
        "{'labels': {'1': 'x'}}                                   | has no 'modality'",
        "{'modality': {}, 'labels': {'1': 'x'}}                   | 'modality' names no channel",
        "{'modality': {'1': 'CT'}, 'labels': {'1': 'x'}}          | 'modality' has no channel 0",
        "{'modality': {'a': 'CT'}, 'labels': {'1': 'x'}}          | 'modality' has a, expected",
        "{'modality': {'0': 'CT'}}                                | has no 'labels'",
        "{'modality': {'0': 'CT'}, 'labels': {'0': 'x'}}          | nothing but background",
        "{'modality': {'0': 'CT'}, 'labels': {'256': 'x'}}        | value 256, expected 0 to 255",
        "{'modality': {'0': 'CT'}, 'labels': {'x': 1, 'y': 1}}    | two classes of value 1",
        "{'modality': {'0': 'CT'}, 'labels': {'x': 'y'}}       | expected one whole number",
        "{'modality': {'0': 'CT'}, 'labels': {'x': 1, 'ignore': 2}} | cannot be left out",
        "{'modality': {'0': 'CT'}, 'labels': {'1': 'x'}, 'training': 7} | 'training' is no list",
        "{'modality': {'0': 'CT'}, 'labels': {'1': 'x'}, 'training': ['a']} | an entry of 'training'",
        "{'modality': {'0': 'CT'}, 'labels': {'1': 'x'}, 'training': [{'image': 'a'}]} | label"
      })
  void descriptionSaysWhatIsWrongWithIt(String json, String problem) throws IOException {
    made.withCases("a").withDescription(json, '\'');
    assertThatThrownBy(() -> DatasetFolder.open(folder))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageStartingWith(at("dataset.json") + ": ")
        .hasMessageContaining(problem);
  }

  @Test
  void folderMustHoldADataSet() throws IOException {
    assertThatThrownBy(() -> DatasetFolder.open(folder)).hasMessageContaining("holds no case");
    Files.delete(at("labelsTr"));
    assertThatThrownBy(() -> DatasetFolder.open(folder))
        .hasMessageContaining("neither imagesTr and labelsTr nor images and labels");
    assertThatThrownBy(() -> DatasetFolder.open(at("nowhere")))
        .isInstanceOf(NoSuchFileException.class);
    Path file = Files.writeString(at("file"), "x");
    assertThatThrownBy(() -> DatasetFolder.open(file)).hasMessageContaining("a file, expected");
  }

  private static final String REGIONS =
      "{'channel_names': {'0': 'T1'}, 'numTraining': %d, 'file_ending': '.nii.gz', 'labels':"
          + " {'background': 0, 'whole tumor': [1, 2, 3], 'tumor core': [2, 3], 'enhancing': [3]}}";

  @Test
  void regionsAreTrainedAsTheLabelsTheyAreMadeOf() throws IOException {
    made.withCases("a", "b").withDescription(REGIONS.formatted(2), '\'');
    DatasetFolder dataset = DatasetFolder.open(folder);
    assertThat(dataset.labels())
        .containsExactly(
            new DatasetLabel(0, "background"),
            new DatasetLabel(1, "whole tumor"),
            new DatasetLabel(2, "tumor core"),
            new DatasetLabel(3, "enhancing"));
    assertThat(dataset.problems())
        .singleElement()
        .hasToString(
            at("dataset.json")
                + ": 'labels' names regions; trained are the labels they are made of, and evaluate"
                + " takes them together by --regions"
                + " 'whole tumor=1+2+3,tumor core=2+3,enhancing=3'");
  }

  @Test
  void labelsOfOneRegionAreToldApartByTheirValues() throws IOException {
    made.withCases("a")
        .withDescription("{'channel_names': {'0': 'T1'}, 'labels': {'x': [4, 2]}}", '\'');
    assertThat(DatasetFolder.open(folder).labels())
        .containsExactly(
            new DatasetLabel(0, "background"),
            new DatasetLabel(2, "x 2"),
            new DatasetLabel(4, "x 4"));
  }

  @Test
  void countOfCasesThatDoesNotHoldIsTold() throws IOException {
    made.withCases("a", "b").withDescription(REGIONS.formatted(5), '\'');
    assertThat(DatasetFolder.open(folder).problems().getFirst())
        .hasToString(at("dataset.json") + ": 'numTraining' is 5, but 2 cases are there");
  }

  @Test
  void filesThatAreNoNiftiAreRefused() throws IOException {
    made.withDescription(
        "{'channel_names': {'0': 'R'}, 'labels': {'a': 1}, 'file_ending': '.png'}", '\'');
    assertThatThrownBy(() -> DatasetFolder.open(folder))
        .isInstanceOf(InvalidFileException.class)
        .hasMessage(
            at("dataset.json")
                + ": 'file_ending' is \".png\", expected .nii.gz or .nii: convert the files to NIfTI");
  }

  @Test
  void labelsMayHaveTheNamesOfPublishedLists() throws IOException {
    made.image("imagesTr/img0001_0000.nii.gz", GEOMETRY, noise("a"));
    made.image("labelsTr/label0001.nii.gz", GEOMETRY, labels());
    made.image("imagesTr/patient001_frame01.nii.gz", GEOMETRY, noise("b"));
    made.image("labelsTr/patient001_frame01_gt.nii.gz", GEOMETRY, labels());
    made.image("imagesTr/label7.nii.gz", GEOMETRY, noise("c"));
    made.image("labelsTr/label7.nii.gz", GEOMETRY, labels());
    DatasetFolder dataset = DatasetFolder.open(folder);
    assertThat(ids(dataset)).containsExactly("img0001", "label7", "patient001_frame01");
    assertThat(dataset.cases().getFirst().label()).isEqualTo(at("labelsTr/label0001.nii.gz"));
    assertThat(dataset.problems()).isEmpty();
  }

  @Test
  void folderAboveADataSetNamesIt() throws IOException {
    Path above = Files.createDirectory(at("above"));
    SmallDataset.in(above.resolve("raw/Task001_X")).withCases("a");
    assertThatThrownBy(() -> DatasetFolder.open(above))
        .hasMessageEndingWith("no data set; " + above.resolve("raw/Task001_X") + " is one");
    assertThatThrownBy(() -> DatasetFolder.open(Files.createDirectory(at("empty"))))
        .hasMessageEndingWith("no data set; name the folder that holds them");
  }
}
