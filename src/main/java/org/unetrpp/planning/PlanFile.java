package org.unetrpp.planning;

import com.google.errorprone.annotations.MustBeClosed;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.Strictness;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.unetrpp.dataset.CaseWorkers;
import org.unetrpp.dataset.DatasetCase;
import org.unetrpp.dataset.DatasetFolder;
import org.unetrpp.dataset.PreparedDataset;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.files.InvalidFileException;
import org.unetrpp.inference.CompleteRecords;
import org.unetrpp.pipeline.Progress;

/** A training plan on disk: JSON that a person may read and edit, and what lies beside it. */
public final class PlanFile {
  private static final Gson JSON =
      new GsonBuilder()
          .setStrictness(Strictness.STRICT)
          .registerTypeAdapterFactory(new CompleteRecords(CompleteRecords.Unknown.REFUSED))
          .create();

  private PlanFile() {}

  /** Writes a plan in one piece. */
  public static void write(Path target, TrainingPlan plan) throws IOException {
    byte[] text = ReadableJson.of(JSON.toJsonTree(plan)).getBytes(StandardCharsets.UTF_8);
    AtomicFile.write(target, out -> out.write(text));
  }

  /**
   * Reads a plan.
   *
   * @throws InvalidFileException if it is no plan, or what it says does not fit together
   */
  public static TrainingPlan read(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      throw new InvalidFileException(path, "a folder, expected a plan file");
    }
    @Nullable TrainingPlan plan;
    try {
      plan = JSON.fromJson(Files.readString(path, StandardCharsets.UTF_8), TrainingPlan.class);
    } catch (JsonParseException e) {
      String problem = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new InvalidFileException(path, "no valid plan: " + problem, e);
    } catch (CharacterCodingException e) {
      throw new InvalidFileException(path, "no valid plan: not UTF-8", e);
    }
    if (plan == null) {
      throw new InvalidFileException(path, "no valid plan: the file is empty");
    }
    return plan;
  }

  /**
   * Opens the data set of a plan.
   *
   * @param path of the plan
   * @throws InvalidFileException if a fold names a case that the data set does not have
   */
  public static DatasetFolder openDataset(Path path, TrainingPlan plan) throws IOException {
    Path folder = path.toAbsolutePath().resolveSibling(plan.dataset()).normalize();
    DatasetFolder dataset = DatasetFolder.open(folder);
    Set<String> known =
        dataset.cases().stream().map(DatasetCase::id).collect(Collectors.toUnmodifiableSet());
    for (Fold fold : plan.folds()) {
      for (List<String> ids : List.of(fold.training(), fold.validation())) {
        for (String id : ids) {
          if (!known.contains(id)) {
            throw new InvalidFileException(
                path, "folds: case '%s' is not in %s".formatted(id, folder));
          }
        }
      }
    }
    return dataset;
  }

  /** The folder beside a plan in which its prepared cases are kept. */
  public static Path cacheOf(Path path) {
    String name = String.valueOf(path.getFileName()).replaceFirst("(?i)\\.json$", "");
    return path.resolveSibling(name + "_cache");
  }

  /**
   * Prepares all cases of a plan's data set that are not prepared yet.
   *
   * @param path of the plan
   * @param threads in all
   * @param cancelled asked whether to stop
   * @param progress told of cases done
   * @throws InvalidFileException if the data set is not what the plan says
   */
  @MustBeClosed
  public static PreparedDataset prepare(
      Path path, TrainingPlan plan, int threads, BooleanSupplier cancelled, Progress progress)
      throws IOException {
    DatasetFolder dataset = openDataset(path, plan);
    long caseBytes = plan.recipe().caseBytes(dataset);
    try (CaseWorkers workers = CaseWorkers.of(threads, caseBytes, cancelled, progress)) {
      return PreparedDataset.prepare(cacheOf(path), dataset.cases(), plan.recipe(), workers);
    }
  }
}
