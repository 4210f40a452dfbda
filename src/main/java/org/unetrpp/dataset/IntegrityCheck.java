package org.unetrpp.dataset;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Reads every file of a data set and finds what would spoil a training, before one begins. */
public final class IntegrityCheck {
  private IntegrityCheck() {}

  /**
   * What was found.
   *
   * @param problems all of them, those of the folder first, then case by case
   * @param cases what planning needs to know of the cases that could be read
   * @param labels that are declared or, where nothing declares them, that occur, by ascending
   *     value, background included
   */
  public record Report(
      List<Problem> problems, List<CaseFingerprint> cases, List<DatasetLabel> labels) {
    public Report {
      problems = List.copyOf(problems);
      cases = List.copyOf(cases);
      labels = List.copyOf(labels);
    }

    /** Problems that training cannot go on with. */
    public List<Problem> errors() {
      return problems.stream().filter(Problem::isError).toList();
    }
  }

  /**
   * Checks all cases.
   *
   * @param workers for cases of {@link #caseBytes}; they tell of progress as "checking"
   */
  public static Report run(DatasetFolder folder, CaseWorkers workers) {
    int count = folder.cases().size();
    CaseExamination.@Nullable Result[] results = new CaseExamination.Result[count];
    workers
        .across()
        .forEach(
            "checking",
            count,
            workers::within,
            (within, index) ->
                results[index] =
                    CaseExamination.of(
                        folder.cases().get(index), folder.channels(), folder.labels(), within));

    List<Problem> problems = new ArrayList<>(folder.problems());
    List<CaseFingerprint> cases = new ArrayList<>();
    BitSet values = new BitSet();
    for (CaseExamination.Result result : results) {
      if (result != null) {
        problems.addAll(result.problems());
        values.or(result.labelValues());
        if (result.fingerprint() != null) {
          cases.add(result.fingerprint());
        }
      }
    }
    List<DatasetLabel> labels = folder.labels().isEmpty() ? named(values) : folder.labels();
    addProblemsOfAll(folder, cases, values, labels, problems);
    return new Report(problems, cases, labels);
  }

  /** About the memory that checking the largest case takes. */
  public static long caseBytes(DatasetFolder folder) {
    int volumes = folder.channels().size() + 1;
    return folder.largest(geometry -> geometry.extents().voxels() * Float.BYTES * (volumes + 1));
  }

  private static List<DatasetLabel> named(BitSet values) {
    List<DatasetLabel> labels = new ArrayList<>();
    labels.add(new DatasetLabel(0, "background"));
    values.stream()
        .filter(value -> value > 0)
        .forEach(value -> labels.add(new DatasetLabel(value, "label " + value)));
    return labels;
  }

  private static void addProblemsOfAll(
      DatasetFolder folder,
      List<CaseFingerprint> cases,
      BitSet values,
      List<DatasetLabel> labels,
      List<Problem> problems) {
    boolean allRead = cases.size() == folder.cases().size();
    List<String> unused =
        labels.stream()
            .filter(label -> label.value() > 0 && !values.get(label.value()))
            .map(label -> "%d (%s)".formatted(label.value(), label.name()))
            .toList();
    if (allRead && !unused.isEmpty()) {
      String names = String.join(", ", unused);
      problems.add(
          Problem.warning(
              folder.declaration(),
              unused.size() == 1
                  ? "label %s occurs in no case".formatted(names)
                  : "labels %s occur in no case".formatted(names)));
    }
    if (allRead && labels.size() < 2) {
      problems.add(Problem.error(folder.folder(), "no label file has any foreground"));
    }
    Map<String, Long> orientations =
        cases.stream()
            .collect(
                Collectors.groupingBy(
                    CaseFingerprint::orientation, TreeMap::new, Collectors.counting()));
    if (orientations.size() > 1) {
      problems.add(
          Problem.warning(
              folder.folder(), "cases differ in orientation: %s".formatted(text(orientations))));
    }
  }

  private static String text(Map<String, Long> counts) {
    return counts.entrySet().stream()
        .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
        .map(entry -> "%d %s".formatted(entry.getValue(), entry.getKey()))
        .collect(Collectors.joining(", "));
  }
}
