package org.unetrpp.postprocessing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unetrpp.files.InvalidFileException;

class PostprocessingFileTest {
  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void nameFile() {
    file = folder.resolve(PostprocessingFile.NAME);
  }

  @Test
  void decisionIsWrittenInThePublishedForm() throws IOException {
    Decision decision =
        new Decision(
            new TreeMap<>(Map.of(1, 0.5, 2, 0.25)),
            new TreeMap<>(Map.of(1, 0.75, 2, 0.25)),
            new TreeMap<>(Map.of(1, Double.NaN, 2, 1.0)),
            new ComponentRule(List.of(Removal.of(List.of(1, 2)), Removal.of(List.of(2)))),
            12);
    PostprocessingFile.write(file, decision, "validation_raw", "validation_raw_postprocessed");
    assertThat(file)
        .hasContent(
            """
            {
                "dc_per_class_pp_all": {
                    "1": 0.75,
                    "2": 0.25
                },
                "dc_per_class_pp_per_class": {
                    "1": NaN,
                    "2": 1.0
                },
                "dc_per_class_raw": {
                    "1": 0.5,
                    "2": 0.25
                },
                "for_which_classes": [
                    [
                        1,
                        2
                    ],
                    2
                ],
                "min_valid_object_sizes": "None",
                "num_samples": 12,
                "validation_final": "validation_raw_postprocessed",
                "validation_raw": "validation_raw"
            }\
            """);
    assertThat(PostprocessingFile.read(file)).isEqualTo(decision.rule());
  }

  @Test
  void sizesAreReadByLabelsAsTheyAreWritten() throws IOException {
    ComponentRule rule =
        new ComponentRule(
            List.of(
                new Removal(new TreeSet<>(List.of(1, 3)), 250.5),
                new Removal(new TreeSet<>(List.of(3)), 20.0)));
    Decision decision = new Decision(new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), rule, 1);
    PostprocessingFile.write(file, decision, "raw", "post");
    assertThat(file).content().contains("\"{(1, 3): 250.5, 3: 20.0}\"");
    Files.writeString(
        file, Files.readString(file).replace("[\n            3\n        ]", "3")); // of all one
    assertThat(PostprocessingFile.read(file)).isEqualTo(rule);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "[]; no post-processing rule",
        "{; no post-processing rule",
        "{}; has no list for_which_classes",
        "{'for_which_classes': [0]}; labels [0], expected some from 1 to 255",
        "{'for_which_classes': [1.5]}; label 1.5, expected a whole number",
        "{'for_which_classes': [1], 'min_valid_object_sizes': '{2: 3}'}; "
            + "min_valid_object_sizes has no size for [1]",
        "{'for_which_classes': [1], 'min_valid_object_sizes': 'open(1)'}; "
            + "expected None or such as {1: 200.0, (1, 2): 500.0}",
      })
  void fileOfAnotherKindIsRefused(String text, String problem) throws IOException {
    Files.writeString(file, text.replace('\'', '"'));
    assertThatThrownBy(() -> PostprocessingFile.read(file))
        .isInstanceOf(InvalidFileException.class)
        .hasMessageContainingAll(file.toString(), problem);
  }
}
