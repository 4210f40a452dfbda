package org.unetrpp.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.LocalDateTime;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;

class PublishedSummaryTest {
  private static final Extents EXTENTS = new Extents(1, 1, 8);
  private static final List<Structure> STRUCTURES =
      List.of(Structure.of("0", 0), Structure.of("1", 1), Structure.of("2", 2));

  @TempDir Path folder;

  private static LabelVolume volume(String digits) {
    return Labels.of(EXTENTS, new Spacing(1, 1, 1), (_, _, column) -> digits.charAt(column) - '0');
  }

  private static CaseEvaluation evaluate(String prediction, String reference) {
    return Evaluation.of(
        volume(prediction), volume(reference), STRUCTURES, Settings.DEFAULT.withoutDistances());
  }

  private static PublishedSummary summary() {
    return new PublishedSummary(
        "unetrpp val tiled True",
        "Task002",
        "unetrpp",
        LocalDateTime.of(2026, 1, 2, 3, 4, 5, 678_000),
        List.of(
            new PublishedSummary.Case(
                evaluate("00111000", "00011100"), Path.of("p/a.nii.gz"), Path.of("l/a.nii.gz")),
            new PublishedSummary.Case(
                evaluate("11110002", "11110022"), Path.of("p/b.nii.gz"), Path.of("l/b.nii.gz"))));
  }

  @Test
  void fileHasThePublishedForm() throws Exception {
    Path file = folder.resolve(PublishedSummary.FILE_NAME);
    summary().write(file);
    String text = Files.readString(file);
    assertThat(text)
        .startsWith("{\n    \"author\": \"unetrpp\",\n    \"description\": \"\",\n    \"id\": \"")
        .contains(
            "    \"name\": \"unetrpp val tiled True\",\n    \"results\": {\n        \"all\": [")
        .endsWith(
            """
                        "True Negative Rate": 1.0
                        }
                    }
                },
                "task": "Task002",
                "timestamp": "2026-01-02 03:04:05.000678"
            }\
            """)
        .contains(
            """
                            "1": {
                                "Accuracy": 0.75,
                                "Dice": 0.6666666666666666,
                                "False Discovery Rate": 0.33333333333333337,
                                "False Negative Rate": 0.33333333333333337,
                                "False Omission Rate": 0.2,
                                "False Positive Rate": 0.19999999999999996,
                                "Jaccard": 0.5,
                                "Negative Predictive Value": 0.8,
                                "Precision": 0.6666666666666666,
                                "Recall": 0.6666666666666666,
                                "Total Positives Reference": 3,
                                "Total Positives Test": 3,
                                "True Negative Rate": 0.8
                            },
                            "2": {
                                "Accuracy": 1.0,
                                "Dice": NaN,
            """)
        .contains("\"reference\": \"l/a.nii.gz\",\n                \"test\": \"p/a.nii.gz\"")
        .contains("\"Total Positives Test\": 3.5,"); // the mean of a count
    String id = text.replaceAll("(?s).*\"id\": \"(\\w+)\".*", "$1");
    String withoutId = text.replaceFirst("    \"id\": \"\\w+\",\n", "");
    byte[] digest =
        MessageDigest.getInstance("MD5").digest(withoutId.getBytes(StandardCharsets.US_ASCII));
    assertThat(id).isEqualTo(HexFormat.of().formatHex(digest).substring(0, 12));
  }

  @Test
  void foregroundMeanLeavesOutBackgroundAndWhatIsUndefined() {
    // Label 1: 2/3 and 1; label 2: undefined and 2/3.
    assertThat(summary().foregroundMean(Metric.DICE)).isEqualTo((5 / 6.0 + 2 / 3.0) / 2);
  }

  @Test
  void regionsHaveMeansAndMediansWithAndWithoutWhatIsUndefined() {
    SequencedMap<String, CaseEvaluation> cases = new LinkedHashMap<>();
    List<Structure> regions =
        List.of(
            Structure.of("whole tumor", List.of(1, 2, 3)),
            Structure.of("tumor core", List.of(2, 3)),
            Structure.of("enhancing tumor", List.of(3)));
    String[][] volumes = {
      {"00111230", "00112230"}, {"11000000", "11100000"}, {"00003333", "00002233"}
    };
    for (int i = 0; i < volumes.length; i++) {
      cases.put(
          "case" + i,
          Evaluation.of(
              volume(volumes[i][0]),
              volume(volumes[i][1]),
              regions,
              Settings.DEFAULT.withoutDistances()));
    }
    assertThat(RegionTable.csv(cases))
        .isEqualTo(
            """
            casename,whole tumor,tumor core,enhancing tumor
            case0,1.0000,0.8000,1.0000
            case1,0.8000,nan,nan
            case2,1.0000,1.0000,0.6667
            mean,0.9333,0.9000,0.8333
            median,1.0000,0.9000,0.8333
            mean (nan is 1),0.9333,0.9333,0.8889
            median (nan is 1),1.0000,1.0000,1.0000
            """);
  }
}
