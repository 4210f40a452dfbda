package org.unetrpp.metrics;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Function;
import org.unetrpp.files.PythonJson;
import org.unetrpp.metrics.Summary.StructureSummary;

/// The metrics of cases as `summary.json` of the published evaluator has them: structures by their
/// names, which are the labels, and the thirteen default metrics; keys sorted, NaN as the bare
/// word.
///
/// | key | value |
/// | --- | --- |
/// | `results` | `all`: a list with each case's `reference` and `test` (paths) and, by structure, metrics; `mean`: by structure, means of the metrics over cases, without NaN |
/// | `author`, `description`, `name`, `task`, `timestamp` | what was evaluated, by what, when |
/// | `id` | the first 12 hexadecimal digits of the MD5 of the file's text without it |
///
/// @param name what was evaluated
/// @param task the data set
/// @param author the program
/// @param timestamp when
/// @param cases at least one, over the same structures
public record PublishedSummary(
    String name, String task, String author, LocalDateTime timestamp, List<Case> cases) {
  /** The name of the file. */
  public static final String FILE_NAME = "summary.json";

  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSSSSS");
  private static final int ID_DIGITS = 12;

  /**
   * A case.
   *
   * @param test the file that was evaluated
   * @param reference the file that it was compared with
   */
  public record Case(CaseEvaluation evaluation, Path test, Path reference) {}

  public PublishedSummary {
    cases = List.copyOf(cases);
  }

  /** The means over cases. */
  public Summary means() {
    return Summary.of(cases.stream().map(Case::evaluation).toList());
  }

  /**
   * The mean of a metric over the means of all structures but 0, without NaN: what the published
   * helper adds as {@code mean["mean"]}.
   */
  public double foregroundMean(Metric metric) {
    return means().structures().stream()
        .filter(structure -> !structure.structure().name().equals("0"))
        .mapToDouble(structure -> structure.mean(metric).value())
        .filter(value -> !Double.isNaN(value))
        .average()
        .orElse(Double.NaN);
  }

  /** Writes the file in one piece. */
  public void write(Path target) throws IOException {
    PythonJson.write(target, json());
  }

  /** The content of the file. */
  JsonObject json() {
    JsonObject results = new JsonObject();
    JsonArray all = new JsonArray();
    cases.forEach(each -> all.add(json(each)));
    results.add("all", all);
    JsonObject mean = new JsonObject();
    for (StructureSummary structure : means().structures()) {
      mean.add(structure.structure().name(), metrics(metric -> structure.mean(metric).value()));
    }
    results.add("mean", mean);
    JsonObject file = new JsonObject();
    file.addProperty("name", name);
    file.addProperty("description", "");
    file.addProperty("timestamp", TIME.format(timestamp));
    file.addProperty("task", task);
    file.addProperty("author", author);
    file.add("results", results);
    file.addProperty("id", md5(PythonJson.text(file)).substring(0, ID_DIGITS));
    return file;
  }

  private static JsonObject json(Case of) {
    JsonObject json = new JsonObject();
    for (StructureEvaluation structure : of.evaluation.structures()) {
      json.add(
          structure.structure().name(),
          metrics(metric -> {
            double value = structure.value(metric);
            return isCount(metric) ? (Number) (long) value : (Number) value;
          }));
    }
    json.addProperty("test", of.test.toString());
    json.addProperty("reference", of.reference.toString());
    return json;
  }

  private static JsonObject metrics(Function<Metric, Number> value) {
    JsonObject metrics = new JsonObject();
    for (Metric metric : Metric.values()) {
      String name = name(metric);
      if (!name.isEmpty()) {
        metrics.addProperty(name, value.apply(metric));
      }
    }
    return metrics;
  }

  private static boolean isCount(Metric metric) {
    return metric == Metric.TOTAL_POSITIVES_TEST || metric == Metric.TOTAL_POSITIVES_REFERENCE;
  }

  /** The published name of a default metric; of others, nothing. */
  private static String name(Metric metric) {
    return switch (metric) {
      case DICE -> "Dice";
      case JACCARD -> "Jaccard";
      case PRECISION -> "Precision";
      case RECALL -> "Recall";
      case TRUE_NEGATIVE_RATE -> "True Negative Rate";
      case ACCURACY -> "Accuracy";
      case FALSE_POSITIVE_RATE -> "False Positive Rate";
      case FALSE_NEGATIVE_RATE -> "False Negative Rate";
      case FALSE_DISCOVERY_RATE -> "False Discovery Rate";
      case FALSE_OMISSION_RATE -> "False Omission Rate";
      case NEGATIVE_PREDICTIVE_VALUE -> "Negative Predictive Value";
      case TOTAL_POSITIVES_TEST -> "Total Positives Test";
      case TOTAL_POSITIVES_REFERENCE -> "Total Positives Reference";
      default -> "";
    };
  }

  private static String md5(String text) {
    try {
      byte[] digest =
          MessageDigest.getInstance("MD5").digest(text.getBytes(StandardCharsets.US_ASCII));
      return HexFormat.of().formatHex(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no MD5, which every Java must have", e);
    }
  }
}
