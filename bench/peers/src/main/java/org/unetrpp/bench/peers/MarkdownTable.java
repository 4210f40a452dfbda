package org.unetrpp.bench.peers;

import java.util.Locale;
import java.util.stream.Collectors;

/** Results as Markdown, for people. */
final class MarkdownTable {
  private static final double GIB = 1024.0 * 1024 * 1024;

  private MarkdownTable() {}

  static String of(Results results) {
    int rounds = results.contestants().getFirst().passes().size();
    String counted =
        results.overAllRounds()
            ? "no round was free of foreign load: figures are of all %d".formatted(rounds)
            : "figures are of the %d of %d rounds that were free of foreign load"
                .formatted(results.cleanRounds(), rounds);
    return """
    %s, float32, one patch, %d threads; %s, %d processors; %s; commit %s; %s.
    Command: `%s`.
    %s.

    | contestant | median s | fastest s | CPU s | page faults | first pass s | opening GiB | forward GiB | largest error |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    %s

    | times as long | median | range |
    | --- | --- | --- |
    %s
    """
        .formatted(
            results.variant(),
            results.threads(),
            results.machine().processor(),
            results.machine().processors(),
            results.java(),
            results.commit(),
            results.date(),
            results.command(),
            counted,
            results.contestants().stream()
                .map(MarkdownTable::row)
                .collect(Collectors.joining("\n")),
            results.ratios().stream().map(MarkdownTable::row).collect(Collectors.joining("\n")));
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
            format("%.2f", entry.forwardPeakResidentBytes() / GIB),
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

  private static String format(String pattern, double value) {
    return String.format(Locale.ROOT, pattern, value);
  }
}
