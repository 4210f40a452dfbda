package org.unetrpp.recipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.testing.SmallDataset;

class DatasetFoldersTest {
  private static final DatasetFolders SYNAPSE =
      new DatasetFolders("DATASET_Synapse", List.of("Task002_Synapse", "Task02_Synapse"));

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "Task002_Synapse",
        "Task02_Synapse",
        "unetr_pp_raw_data/Task002_Synapse",
        "unetr_pp_raw/unetr_pp_raw_data/Task02_Synapse",
        "DATASET_Synapse/unetr_pp_raw/unetr_pp_raw_data/Task002_Synapse",
        "DATASET_Synapse/Task02_Synapse"
      })
  void dataSetIsFoundOnEveryLevelOfTheLayout(String place) throws IOException {
    Path expected = folder.resolve(place);
    SmallDataset.in(expected);
    assertThat(Files.isSameFile(SYNAPSE.locate(folder), expected)).isTrue();
  }

  @Test
  void folderItselfAndConvertedDataComeFirst() throws IOException {
    SmallDataset.in(folder.resolve("Task02_Synapse"));
    SmallDataset.in(folder.resolve("Task002_Synapse"));
    assertThat(SYNAPSE.locate(folder)).isEqualTo(folder.resolve("Task002_Synapse"));
    SmallDataset.in(folder);
    assertThat(SYNAPSE.locate(folder)).isEqualTo(folder);
  }

  @Test
  void otherFoldersAreRefused() throws IOException {
    SmallDataset.in(folder.resolve("Task003_Synapse"));
    assertThatThrownBy(() -> SYNAPSE.locate(folder))
        .isInstanceOf(InvalidFileException.class)
        .hasMessage(
            folder
                + ": holds no imagesTr and labelsTr, nor does Task002_Synapse or Task02_Synapse in it,"
                + " in unetr_pp_raw/unetr_pp_raw_data or in DATASET_Synapse; name the folder that does");
    assertThatThrownBy(() -> SYNAPSE.locate(folder.resolve("x")))
        .isInstanceOf(NoSuchFileException.class);
    Path file = Files.createFile(folder.resolve("file"));
    assertThatThrownBy(() -> SYNAPSE.locate(file)).hasMessageContaining("a file, expected");
  }
}
