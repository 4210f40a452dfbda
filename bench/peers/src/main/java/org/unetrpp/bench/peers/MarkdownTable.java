package org.unetrpp.bench.peers;

import java.util.DoubleSummaryStatistics;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.unetrpp.benchmark.Spread;

/** Results as Markdown, for people. */
final class MarkdownTable {
  private static final double GIB = 1024.0 * 1024 * 1024;

  private MarkdownTable() {}

  static String of(Results results) {
    return """
    %s, float32, %s, %d threads; %s, %d processors; %s; commit %s; %s.
    Command: `%s`.
    %s; %s.%s

    | contestant | median s | fastest s | CPU s | page faults | first pass s | opening GiB | pass GiB | largest error |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    %s

    | times as long | median | range |
    | --- | --- | --- |
    %s
    %s\
    """
        .formatted(
            results.variant(),
            What.of(results.what()).getFirst().text(results.batch()),
            results.threads(),
            results.machine().processor(),
            results.machine().processors(),
            results.java(),
            results.commit(),
            results.date(),
            results.command(),
            counted(results),
            load(results),
            settings(results),
            results.contestants().stream()
                .map(MarkdownTable::row)
                .collect(Collectors.joining("\n")),
            results.ratios().stream().map(MarkdownTable::row).collect(Collectors.joining("\n")),
            slowdowns(results));
  }

  private static String counted(Results results) {
    int rounds = results.contestants().getFirst().passes().size();
    return results.overAllRounds()
        ? "No round was free of foreign load: figures are of all %d".formatted(rounds)
        : "Figures are of the %d of %d rounds that were free of foreign load"
            .formatted(results.cleanRounds(), rounds);
  }

  private static String load(Results results) {
    DoubleSummaryStatistics load =
        results.contestants().stream()
            .flatMap(entry -> Stream.concat(entry.passes().stream(), entry.loadedPasses().stream()))
            .collect(Collectors.summarizingDouble(Results.Pass::loadAverage));
    return "load average %s to %s"
        .formatted(format("%.1f", load.getMin()), format("%.1f", load.getMax()));
  }

  private static String settings(Results results) {
    return results.contestants().stream()
        .filter(entry -> !entry.settings().isEmpty())
        .map(entry -> "\n%s: `%s`.".formatted(entry.name(), String.join(" ", entry.settings())))
        .collect(Collectors.joining());
  }

  private static String row(Results.Entry entry) {
    return "| %s (%s) | %s | %s | %s | %.0f | %s | %s | %s | %s |"
        .formatted(
            entry.name(),
            entry.version(),
            format("%.3f", entry.medianSeconds()),
            format("%.3f", entry.fastestSeconds()),
            format("%.2f", entry.medianCpuSeconds()),
            entry.medianMinorFaults(),
            format("%.3f", entry.warmups().getFirst().seconds()),
            format("%.2f", entry.openingPeakResidentBytes() / GIB),
            format("%.2f", entry.passPeakResidentBytes() / GIB),
            format("%.1e", entry.largestError()));
  }

  private static String row(Results.Ratio ratio) {
    return "| %s / %s | %s | %s to %s |"
        .formatted(
            ratio.name(),
            ratio.by(),
            format("%.2f", ratio.median()),
            format("%.2f", ratio.smallest()),
            format("%.2f", ratio.largest()));
  }

  private static String slowdowns(Results results) {
    if (results.foreignProcesses() == 0) {
      return "";
    }
    return """

    | beside %d busy processes | median s | times as long as without | range |
    | --- | --- | --- | --- |
    %s
    """
        .formatted(
            results.foreignProcesses(),
            results.contestants().stream()
                .map(entry -> slowdown(entry.name(), entry.medianLoadedSeconds(), entry.slowdown()))
                .collect(Collectors.joining("\n")));
  }

  private static String slowdown(String name, @Nullable Double seconds, @Nullable Spread slowdown) {
    if (seconds == null || slowdown == null) {
      throw new IllegalArgumentException(name + " has no loaded passes, expected some");
    }
    return "| %s | %s | %s | %s to %s |"
        .formatted(
            name,
            format("%.3f", seconds),
            format("%.2f", slowdown.median()),
            format("%.2f", slowdown.smallest()),
            format("%.2f", slowdown.largest()));
  }

  private static String format(String pattern, double value) {
    return String.format(Locale.ROOT, pattern, value);
  }
}
