package org.unetrpp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.unetrpp.files.AtomicFile;
import org.unetrpp.inference.LabelClass;
import org.unetrpp.metrics.Structure;
import org.unetrpp.report.EvaluationPage;
import org.unetrpp.report.EvaluationPage.Entry;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The page that {@code evaluate} writes. */
final class ReportOptions {
  private static final int MANY_FIGURES = 20;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

  @Option(
      names = "--report",
      paramLabel = "F",
      description = "Write an HTML page with tables, plots and figures of the worst cases.")
  private @Nullable Path page;

  @Option(
      names = "--images",
      paramLabel = "FOLDER",
      description = "The images that were segmented, for the figures of --report.")
  private @Nullable Path images;

  private int figures = MANY_FIGURES;

  @Option(
      names = "--figures",
      paramLabel = "N",
      description = "How many of the worst cases have a figure in --report (default: 20).")
  void setFigures(int count) {
    if (count < 0) {
      throw new ParameterException(
          command.commandLine(), "--figures is " + count + ", expected 0 or more");
    }
    figures = count;
  }

  /** The page, if one is wanted. */
  @Nullable Path page() {
    return page;
  }

  /**
   * The images by case.
   *
   * @throws IOException if their folder cannot be read or holds none
   */
  Map<String, Path> findImages() throws IOException {
    if (images == null) {
      return Map.of();
    }
    if (page == null) {
      throw new ParameterException(
          command.commandLine(), "--images are for figures, expected --report, too");
    }
    return ReportFigures.imagesByCase(images);
  }

  /**
   * Writes the page.
   *
   * @param report of all cases
   * @param labels named classes and their colors; empty for those that were found
   * @param found images by case
   * @param origin what was evaluated
   */
  void write(
      EvaluationReport report, List<LabelClass> labels, Map<String, Path> found, List<Entry> origin)
      throws IOException {
    if (page == null) {
      return;
    }
    List<Entry> entries = new ArrayList<>(origin);
    if (images != null) {
      entries.add(new Entry("Images", images.toString()));
    }
    entries.add(new Entry("Program", "unetrpp " + Version.current()));
    entries.add(new Entry("Java", Runtime.version().toString()));
    EvaluationPage content =
        new EvaluationPage(
            report.cases().stream()
                .map(c -> new EvaluationPage.Case(c.files().name(), c.evaluation()))
                .toList(),
            colors(report, labels),
            report.failures(),
            entries);
    Map<String, LabelPair> files =
        report.cases().stream()
            .collect(Collectors.toMap(c -> c.files().name(), EvaluatedCase::files));
    ReportFigures drawn = new ReportFigures(files, found, labels);
    AtomicFile.write(page, out -> content.writeTo(out, drawn, figures));
  }

  /** The color of each structure: that of its label or, of a region, its first. */
  private static List<String> colors(EvaluationReport report, List<LabelClass> labels) {
    Map<Integer, String> known =
        labels.stream()
            .collect(Collectors.toMap(LabelClass::value, LabelClass::color, (first, _) -> first));
    return report.summary().structures().stream()
        .map(summary -> color(summary.structure(), known))
        .toList();
  }

  private static String color(Structure structure, Map<Integer, String> known) {
    int first = structure.labels().first();
    return known.getOrDefault(first, LabelClass.of(first, structure.name()).color());
  }
}
